// Words that several pages of the app share.

export const appTexts = {
  title: (page: string) => `${page} · Emostream`,
  loading: 'Loading…',
  tryAgain: 'Try again',
  notFoundTitle: 'Nothing here',
  notFound: 'There is no page at this address.',
  toLive: 'Go to the live page',
  unreachable: 'The server did not answer.',
  failed: (words: string) => `This did not work: ${words}`,
  noAnswer: 'The server did not answer. Check your connection and try again.',
  notAllowed: 'Your account may not do this.',
  channel: 'Channel',
  cancel: 'Cancel',
  close: 'Close',
  save: 'Save',
  required: 'Needed',
  showPassword: 'Show password',
  showPasswords: 'Show passwords',
  passwordHint: (least: number) => `At least ${least} characters.`,
  passwordShort: (least: number, got: number) =>
    `Use at least ${least} characters; there are ${got}.`,
  passwordLong: (most: number, got: number) => `Use at most ${most} characters; there are ${got}.`,
  seconds: (seconds: number) => `${seconds} ${seconds === 1 ? 'second' : 'seconds'}`,
  crashed:
    'This page has met an error of its own. Load it again; if that does not help, tell those who run it.',
  everyEmote: 'every emoji',
  noEmote: 'none',
  on: 'on',
  off: 'off',
};
