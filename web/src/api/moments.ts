// The archive of moments over HTTP: reading a time, changing one, addresses of exports.

import type { ArchivedMoment, PageOf } from './documents.js';
import { ask, Problem } from './http.js';

export const FORMATS = ['youtube', 'vtt', 'edl', 'csv', 'json', 'ffmetadata'] as const;

export type Format = (typeof FORMATS)[number];

/** Moments of one answer. */
const PAGE_ITEMS = 100;
/** Moments that are read from the log, which gives the oldest first, where the server has no archive. */
const LOG_ITEMS_MAX = 5_000;

function path(channel: string, rest = ''): string {
  return `/v1/channels/${encodeURIComponent(channel)}/moments${rest}`;
}

export interface MomentsAsked {
  fromMs: number | undefined;
  /** Those that are hidden too; for moderators. */
  withHidden: boolean;
  /** Where the page before ended. */
  cursor: string | undefined;
}

/** Moments, newest first, a page of them. */
export async function readMoments(
  channel: string,
  { fromMs, withHidden, cursor }: MomentsAsked,
): Promise<PageOf<ArchivedMoment>> {
  const query = new URLSearchParams();
  if (fromMs !== undefined) query.set('from', new Date(fromMs).toISOString());
  if (withHidden) query.set('include_hidden', 'true');
  if (cursor !== undefined) query.set('cursor', cursor);
  try {
    query.set('order', 'desc');
    return await page(channel, query, PAGE_ITEMS);
  } catch (error) {
    if (!(error instanceof Problem) || error.field !== 'order') throw error;
    query.delete('order');
    return fromLog(channel, query);
  }
}

async function page(channel: string, query: URLSearchParams, limit: number) {
  query.set('limit', String(limit));
  return (await ask<PageOf<ArchivedMoment>>(path(channel, `?${query}`))).body;
}

/** All at once, turned round; of more than fit, the newest. */
async function fromLog(channel: string, query: URLSearchParams): Promise<PageOf<ArchivedMoment>> {
  let moments: ArchivedMoment[] = [];
  for (;;) {
    const { items, next_cursor: cursor } = await page(channel, query, 1_000);
    moments = [...moments, ...items].slice(-LOG_ITEMS_MAX);
    if (cursor === null) return { items: moments.reverse(), next_cursor: null };
    query.set('cursor', cursor);
  }
}

export interface MomentChange {
  title?: string | null;
  note?: string | null;
  hidden?: boolean;
}

export async function changeMoment(
  channel: string,
  id: string,
  change: MomentChange,
): Promise<void> {
  await ask(path(channel, `/${encodeURIComponent(id)}`), { method: 'PATCH', json: change });
}

export interface ExportChoice {
  fromMs: number | undefined;
  offsetMs: number;
  /** Undefined: what the channel has on record. */
  recordingStartedAt: string | undefined;
  fps: string;
}

/** Address of a file; anybody may have it, so that a link is enough. */
export function exportAddress(channel: string, format: Format, choice: ExportChoice): string {
  const query = new URLSearchParams({ format });
  if (choice.fromMs !== undefined) query.set('from', new Date(choice.fromMs).toISOString());
  if (choice.offsetMs !== 0) query.set('offset_ms', String(choice.offsetMs));
  if (choice.recordingStartedAt) query.set('recording_started_at', choice.recordingStartedAt);
  if (format === 'edl') query.set('fps', choice.fps);
  return path(channel, `/export?${query}`);
}

/** `1:30`, `-12`, `0.5`, `1:02:03.25` in milliseconds; undefined when it is none of these. */
export function parseOffset(text: string): number | undefined {
  const trimmed = text.trim().replace('−', '-');
  if (trimmed === '') return 0;
  const match = /^([+-]?)((?:\d+:){0,2})(\d+(?:[.,]\d+)?)$/.exec(trimmed);
  if (!match) return undefined;
  const [, sign, larger = '', seconds = ''] = match;
  const units = larger.split(':').filter(Boolean).map(Number);
  const whole = units.reduce((sum, unit) => (sum + unit) * 60, 0);
  const ms = Math.round((whole + Number(seconds.replace(',', '.'))) * 1000);
  return sign === '-' ? -ms : ms;
}
