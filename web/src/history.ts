// The recent past by REST, so that the page is full at once and whole again after an outage.

import type { Moment } from '@emostream/viewer';
import type { WindowRow } from './window-ledger.js';

interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

/** Windows since an instant, at most `limit`, ascending. */
export function recentWindows(
  channel: string,
  fromMs: number,
  limit: number,
): Promise<WindowRow[]> {
  const from = new Date(fromMs).toISOString();
  return items(channel, 'windows', { from, limit: String(limit) });
}

/** The newest moments since an instant, at most `limit`, ascending; a page of the server's holds the oldest first. */
export async function recentMoments(
  channel: string,
  fromMs: number,
  limit: number,
): Promise<Moment[]> {
  const from = new Date(fromMs).toISOString();
  const found = await items<Moment>(channel, 'moments', { from, limit: '1000' });
  return found.slice(-limit);
}

/** The page is an addition to the live stream: without an answer the stream alone fills the screen. */
async function items<Item>(
  channel: string,
  what: string,
  query: Record<string, string>,
): Promise<Item[]> {
  const path = `/v1/channels/${encodeURIComponent(channel)}/${what}`;
  try {
    const answer = await fetch(`${path}?${new URLSearchParams(query)}`);
    if (!answer.ok) return [];
    const page = (await answer.json()) as Page<Item>;
    return Array.isArray(page.items) ? page.items : [];
  } catch {
    return [];
  }
}
