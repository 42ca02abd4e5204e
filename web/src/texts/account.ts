// Words of the page on which people see after their own account.

import { appTexts } from './app.js';

const devices = (count: number) => `${count} ${count === 1 ? 'device' : 'devices'}`;

export const accountTexts = {
  title: 'Account',

  who: {
    title: 'Who you are',
    username: 'User name',
    role: 'Role',
    roles: {
      viewer: ['Viewer', 'Watches and reacts.'],
      moderator: ['Moderator', 'Names and hides moments, and tries rules.'],
      broadcaster: ['Broadcaster', 'Changes the settings of channels, too.'],
      admin: ['Admin', 'Sees after accounts and clusters, too.'],
    },
    tier: 'Tier',
    tierOf: (tier: number) => `Tier ${tier}`,
    tierNote: (most: number) => `${devices(most)} may be connected at once.`,
  },

  devices: {
    title: 'Your devices',
    used: (used: number, most: number) => `${used} of ${devices(most)} in use`,
    none: 'No device is connected. A tab counts as one while it shows the live page.',
    unnamed: 'A device without a name',
    about: (since: string, place: string) => `Since ${since}, on ${place}`,
    place: (cluster: string, edge: string) => (cluster === edge ? edge : `${edge} (${cluster})`),
    connected: 'Connected',
    coming: 'Connecting',
    here: 'This tab',
    end: 'End',
    endSpoken: (name: string) => `End ${name}`,
    ended: (name: string) => `${name} is ended.`,
    gone: (name: string) => `${name} has left already.`,
    confirm: {
      title: (name: string) => `End ${name}?`,
      lead: 'Its stream stops within seconds, and its place is free for another device.',
      again: 'Whoever sits there can start it again while logged in. A new password logs them out.',
      ending: 'Ending…',
      keep: 'Keep it',
    },
  },

  password: {
    title: 'Change your password',
    lead: 'Everybody else who is logged in with this account is logged out. You stay logged in here.',
    devices: 'What is connected stays so until you end it among your devices.',
    current: 'Current password',
    next: 'New password',
    submit: 'Change password',
    submitting: 'Changing…',
    changed: 'Your password is changed.',
    changedOnly: 'Your password is changed. Log in with the new one.',
    currentMissing: 'Enter the password that you have now.',
    currentWrong: 'This is not your password.',
    nextMissing: 'Choose a new password.',
    same: 'This is the password that you have now. Choose another.',
    tooOften: (seconds: number) =>
      `Too many attempts. Try again in ${appTexts.seconds(seconds)}. Nothing is changed.`,
    failed: (words: string) => `The password could not be changed: ${words}`,
  },

  removal: {
    title: 'Delete your account',
    goes: 'Your user name, password, role and tier are deleted for good, your devices are disconnected, and others may take the name.',
    stays:
      'What you sent stays counted. Records of it, and of what you changed, keep your name as long as this server keeps them.',
    open: 'Delete account…',
    confirm: 'Delete your account for good?',
    irrevocable: 'Nobody can undo this.',
    password: 'Your password',
    submit: 'Delete for good',
    submitting: 'Deleting…',
    removed: 'Your account is deleted.',
    passwordMissing: 'Enter your password.',
    passwordWrong: 'This is not your password.',
    lastAdmin: 'You are the last admin. Make somebody else an admin first.',
    tooOften: (seconds: number) =>
      `Too many attempts. Try again in ${appTexts.seconds(seconds)}. Nothing is deleted.`,
    failed: (words: string) => `The account could not be deleted: ${words}`,
  },
};
