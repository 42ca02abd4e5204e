// Ways from page to page: inside the app without loading a document, to the live page by its own document.

import { frameTexts } from '../texts/frame.js';
import { notify, notifyNext, type NoticeKind } from '../notices.js';
import { loginAddress } from '../navigation.js';
import { router } from './router.js';

/** The pages of the app; every other path has a document of its own. */
export const APP_PATHS = ['/login', '/register', '/account', '/settings', '/moments', '/about'];

/** A path of this server that a link may lead to, whatever the address bar says; else undefined. */
export function ownPath(path: unknown): string | undefined {
  if (typeof path !== 'string' || !path.startsWith('/')) return undefined;
  const url = new URL(path, 'http://own.invalid');
  return url.origin === 'http://own.invalid' ? url.pathname + url.search : undefined;
}

/** Goes to a path of this server and shows a message there. */
export function goWith(path: string, text: string, kind: NoticeKind): void {
  const inside = APP_PATHS.includes(new URL(path, location.origin).pathname);
  if (inside) {
    router.history.push(path);
    notify(text, kind);
  } else {
    notifyNext(text, kind);
    location.assign(path);
  }
}

/** To the login, saying why, unless somebody is there. */
export function askForLogin(back: string): void {
  goWith(loginAddress(back), frameTexts.loginNeeded, 'info');
}
