// Words of the page on which people make an account.

import { appTexts } from './app.js';

export const registerTexts = {
  title: 'Register',
  lead: 'One account, and as many devices at once as its tier has.',
  closed: 'This server makes no accounts for whoever asks: its administrators do.',
  username: 'User name',
  password: 'Password',
  tier: 'Tier',
  tierOf: (tier: number, devices: number) =>
    `Tier ${tier}: ${devices} ${devices === 1 ? 'device' : 'devices'} at once`,
  submit: 'Register and watch',
  submitting: 'Registering…',
  succeeded: (name: string) => `Welcome, ${name}. Your account is made.`,
  madeOnly: 'Your account is made. Log in with it.',
  usernameMissing: 'Choose a user name.',
  passwordMissing: 'Choose a password.',
  taken: 'This name is taken. Choose another.',
  tooOften: (seconds: number) =>
    `Too many accounts are being made here. Try again in ${appTexts.seconds(seconds)}.`,
  failed: (words: string) => `The account could not be made: ${words}`,
  haveAccount: 'You have an account?',
  logIn: 'Log in',
};
