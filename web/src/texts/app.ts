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
  notAllowed: 'Your account may not do this.',
  channel: 'Channel',
  cancel: 'Cancel',
  close: 'Close',
  save: 'Save',
  required: 'Needed',
  crashed:
    'This page has met an error of its own. Load it again; if that does not help, tell those who run it.',
  everyEmote: 'every emoji',
  noEmote: 'none',
  on: 'on',
  off: 'off',
};
