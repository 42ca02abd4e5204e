// Words of the login page.

import { appTexts } from './app.js';

export const loginTexts = {
  title: 'Log in',
  lead: 'To watch as yourself, or to moderate. Many channels need no account.',
  username: 'User name',
  password: 'Password',
  submit: 'Log in',
  submitting: 'Logging in…',
  succeeded: (name: string) => `Login succeeded. Welcome, ${name}.`,
  wrong: 'User name or password is wrong.',
  usernameMissing: 'Enter your user name.',
  passwordMissing: 'Enter your password.',
  tooOften: (seconds: number) => `Too many attempts. Try again in ${appTexts.seconds(seconds)}.`,
  failed: (words: string) => `The login did not work: ${words}`,
  already: (name: string) => `You are logged in as ${name}.`,
  goOn: 'Go on',
  noAccount: 'No account yet?',
  register: 'Register',
};
