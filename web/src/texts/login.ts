// Words of the login page.

export const loginTexts = {
  title: 'Log in',
  lead: 'To watch as yourself, or to moderate. Many channels need no account.',
  username: 'User name',
  password: 'Password',
  showPassword: 'Show password',
  submit: 'Log in',
  submitting: 'Logging in…',
  succeeded: (name: string) => `Login succeeded. Welcome, ${name}.`,
  wrong: 'User name or password is wrong.',
  usernameMissing: 'Enter your user name.',
  passwordMissing: 'Enter your password.',
  tooOften: (seconds: number) =>
    `Too many attempts. Try again in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`,
  unreachable: 'The server did not answer. Check your connection and try again.',
  failed: (words: string) => `The login did not work: ${words}`,
  already: (name: string) => `You are logged in as ${name}.`,
  goOn: 'Go on',
  noAccount: 'No account yet?',
  register: 'Register',
};
