// Notifications: short messages that are seen and read aloud, here or by the document that comes next.

import { frameTexts } from './texts/frame.js';

export type NoticeKind = 'good' | 'bad' | 'info';

interface Notice {
  text: string;
  kind: NoticeKind;
}

const KEY = 'emostream.notices';
/** How long a message stays that asks for nothing; one about a failure stays until it is dismissed. */
const SHOWN_MS = 7_000;
const SHOWN_MAX = 4;

/** Shows a message on this page. */
export function notify(text: string, kind: NoticeKind = 'info'): void {
  const { polite, urgent } = regions();
  const item = document.createElement('div');
  item.className = 'notice';
  item.dataset['kind'] = kind;
  item.dataset['testid'] = 'notice';
  const words = document.createElement('p');
  words.textContent = text;
  const close = document.createElement('button');
  close.type = 'button';
  close.className = 'notice-close';
  close.setAttribute('aria-label', frameTexts.dismiss);
  close.textContent = '✕';
  close.addEventListener('click', () => item.remove());
  item.append(words, close);
  const region = kind === 'bad' ? urgent : polite;
  region.append(item);
  while (region.children.length > SHOWN_MAX) region.firstElementChild?.remove();
  if (kind !== 'bad') removeLater(item);
}

/** Leaves a message for the document that is loaded next in this tab. */
export function notifyNext(text: string, kind: NoticeKind = 'info'): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...waiting(), { text, kind }]));
  } catch {
    // A browser that keeps nothing shows no message; nothing depends on it.
  }
}

/** Makes the page ready to announce, and shows what the document before left. */
export function showWaitingNotices(): void {
  regions();
  const left = waiting();
  if (left.length === 0) return;
  sessionStorage.removeItem(KEY);
  // A live region is read aloud when it changes, not when it appears.
  setTimeout(() => left.forEach(({ text, kind }) => notify(text, kind)), 150);
}

function waiting(): Notice[] {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
    return Array.isArray(value) ? (value as Notice[]) : [];
  } catch {
    return [];
  }
}

/** A message that somebody points at or has the focus in stays. */
function removeLater(item: HTMLElement): void {
  const again = () => {
    if (item.matches(':hover, :focus-within')) setTimeout(again, 1_000);
    else item.remove();
  };
  setTimeout(again, SHOWN_MS);
}

function regions(): { polite: HTMLElement; urgent: HTMLElement } {
  const known = document.getElementById('notices') ?? makeRegions();
  return { polite: known.children[0] as HTMLElement, urgent: known.children[1] as HTMLElement };
}

function makeRegions(): HTMLElement {
  const box = document.createElement('section');
  box.id = 'notices';
  box.className = 'notices';
  box.setAttribute('aria-label', frameTexts.notifications);
  const polite = document.createElement('div');
  polite.setAttribute('aria-live', 'polite');
  const urgent = document.createElement('div');
  urgent.setAttribute('aria-live', 'assertive');
  box.append(polite, urgent);
  document.body.append(box);
  return box;
}
