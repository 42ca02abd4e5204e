// Words of the page on which people make an account.

export const registerTexts = {
  title: 'Register',
  lead: 'One account, and as many devices at once as its tier has.',
  closed: 'This server makes no accounts for whoever asks: its administrators do.',
  username: 'User name',
  usernameHint: 'Up to 64 characters.',
  password: 'Password',
  passwordHint: 'At least 8 characters.',
  showPassword: 'Show password',
  tier: 'Tier',
  tierOf: (tier: number, devices: number) =>
    `Tier ${tier}: ${devices} ${devices === 1 ? 'device' : 'devices'} at once`,
  submit: 'Register and watch',
  submitting: 'Registering…',
  succeeded: (name: string) => `Welcome, ${name}. Your account is made.`,
  usernameMissing: 'Choose a user name.',
  passwordMissing: 'Choose a password.',
  taken: 'This name is taken. Choose another.',
  tooOften: (seconds: number) =>
    `Too many accounts are being made here. Try again in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`,
  unreachable: 'The server did not answer. Check your connection and try again.',
  failed: (words: string) => `The account could not be made: ${words}`,
  haveAccount: 'You have an account?',
  logIn: 'Log in',
};
