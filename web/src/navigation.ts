// The links at the top of every page; which ones depends on who is logged in.

import { currentSession, endSession, mayActAs, onSession } from './api/session.js';
import { notify, notifyNext } from './notices.js';
import { part } from './page.js';
import { frameTexts } from './texts/frame.js';

/** A link's path and words; where a role is named, it is shown from that role on. */
interface Entry {
  path: string;
  words: string;
  shown: () => boolean;
}

const ENTRIES: Entry[] = [
  { path: '/', words: frameTexts.live, shown: () => true },
  { path: '/moments', words: frameTexts.moments, shown: () => true },
  { path: '/settings', words: frameTexts.settings, shown: () => mayActAs('moderator') },
  { path: '/about', words: frameTexts.about, shown: () => true },
  { path: '/account', words: frameTexts.account, shown: () => currentSession() !== undefined },
  { path: '/login', words: frameTexts.logIn, shown: () => !currentSession() },
];

/** Pages that need somebody who is logged in. */
const GUARDED = ['/settings', '/account'];

/** The channel that the address names. */
export function channelInAddress(search: string = location.search): string {
  return new URLSearchParams(search).get('channel') || 'main';
}

/** A page's address that stays with the channel shown. */
export function addressOf(path: string, channel: string = channelInAddress()): string {
  return channel === 'main' ? path : `${path}?${new URLSearchParams({ channel })}`;
}

/** The login's address, from which one comes back. */
export function loginAddress(back: string): string {
  return `/login?${new URLSearchParams({ return: back })}`;
}

/** The address of making an account, from which one comes back. */
export function registerAddress(back?: string): string {
  return back === undefined ? '/register' : `/register?${new URLSearchParams({ return: back })}`;
}

/** Fills the navigation and keeps it true; the answer does so again after a change of address. */
export function mountNavigation(): () => void {
  const nav = part('navigation');
  nav.setAttribute('aria-label', frameTexts.pages);
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'menu-button';
  button.textContent = frameTexts.menu;
  button.setAttribute('aria-controls', 'pages');
  const list = document.createElement('ul');
  list.id = 'pages';
  list.className = 'pages';
  nav.replaceChildren(button, list);

  const open = (expanded: boolean) => button.setAttribute('aria-expanded', String(expanded));
  open(false);
  button.addEventListener('click', () => open(button.getAttribute('aria-expanded') !== 'true'));
  nav.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || button.getAttribute('aria-expanded') !== 'true') return;
    open(false);
    button.focus();
  });
  document.addEventListener('click', ({ target }) => {
    if (!button.contains(target as Node)) open(false);
  });
  const fill = () => {
    list.replaceChildren(...entries());
    open(false);
  };
  fill();
  onSession(fill);
  return fill;
}

function entries(): HTMLElement[] {
  const items = ENTRIES.filter(({ shown }) => shown()).map(linkItem);
  const session = currentSession();
  if (session) items.push(logOutItem(session.username));
  return items;
}

function linkItem({ path, words }: Entry): HTMLElement {
  const item = document.createElement('li');
  const link = document.createElement('a');
  link.href = addressOf(path);
  link.textContent = words;
  if (location.pathname === path) link.setAttribute('aria-current', 'page');
  item.append(link);
  return item;
}

function logOutItem(username: string): HTMLElement {
  const item = document.createElement('li');
  item.className = 'who';
  const name = document.createElement('span');
  name.className = 'who-name';
  name.title = frameTexts.loggedInAs(username);
  name.textContent = username;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = frameTexts.logOut;
  button.addEventListener('click', logOut);
  item.append(name, button);
  return item;
}

function logOut(): void {
  const guarded = GUARDED.includes(location.pathname);
  // The live page begins anew, with a connection that is no account's.
  const leaves = guarded || location.pathname === '/';
  if (leaves) notifyNext(frameTexts.loggedOut, 'good');
  endSession();
  if (guarded) location.assign(addressOf('/'));
  else if (!leaves) notify(frameTexts.loggedOut, 'good');
}
