// The archive of moments over HTTP: reading a time, changing one, addresses of exports.

import type { ArchivedMoment, PageOf } from './documents.js';
import { ask } from './http.js';

export const FORMATS = ['youtube', 'vtt', 'edl', 'csv', 'json', 'ffmetadata'] as const;

export type Format = (typeof FORMATS)[number];

/** Items of one answer; the server's limit. */
const PAGE_MAX = 1_000;
/** Moments that a page holds at most: days of a busy channel. */
export const LOADED_MAX = 5_000;

export interface Archive {
  /** Ascending. */
  moments: ArchivedMoment[];
  /** Whether there are more than are loaded. */
  cut: boolean;
}

function path(channel: string, rest = ''): string {
  return `/v1/channels/${encodeURIComponent(channel)}/moments${rest}`;
}

/** Moments since an instant, those that are hidden too where the session may see them. */
export async function readMoments(
  channel: string,
  fromMs: number | undefined,
  withHidden: boolean,
): Promise<Archive> {
  const query = new URLSearchParams({ limit: String(PAGE_MAX) });
  if (fromMs !== undefined) query.set('from', new Date(fromMs).toISOString());
  if (withHidden) query.set('include_hidden', 'true');
  const moments: ArchivedMoment[] = [];
  for (;;) {
    const { items, next_cursor: cursor } = (
      await ask<PageOf<ArchivedMoment>>(path(channel, `?${query}`))
    ).body;
    moments.push(...items);
    if (cursor === null) return { moments, cut: false };
    if (moments.length >= LOADED_MAX) return { moments, cut: true };
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
