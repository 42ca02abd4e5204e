// Words around every page: navigation, notifications, and what a session meets.

export const frameTexts = {
  pages: 'Pages',
  menu: 'Menu',
  live: 'Live',
  moments: 'Moments',
  settings: 'Settings',
  about: 'About',
  account: 'Account',
  logIn: 'Log in',
  logOut: 'Log out',
  loggedInAs: (name: string) => `Logged in as ${name}`,
  notifications: 'Notifications',
  dismiss: 'Dismiss',
  loggedOut: 'You are logged out.',
  expired: 'Your login has expired. Log in again to go on where you were.',
  membersOnly: 'This channel is for members. Log in to watch.',
  loginNeeded: 'Log in to see this page.',
};
