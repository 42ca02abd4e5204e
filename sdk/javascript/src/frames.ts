// The frames of subprotocol `emostream.json.v1`: their shapes, and a reader that refuses what is not one.

/** Subprotocol named at the WebSocket handshake. */
export const SUBPROTOCOL = 'emostream.json.v1';

/** Reactions per emote. */
export type Counts = Record<string, number>;

/** Greeting of every connection. */
export interface Hello {
  type: 'hello';
  channel: string;
  epoch: string;
  seq: number;
  server_time: string;
  pulse_ms: number;
  window_ms: number;
  palette: string[];
  palette_version: number;
}

/** What came in the last 100 ms, best effort. */
export interface Pulse {
  type: 'pulse';
  channel: string;
  epoch: string;
  seq: number;
  start: string;
  counts: Counts;
  /** How many emotes a screen shows for the counts. */
  shown?: Counts;
}

/** Final counts of a tumbling window. */
export interface Window {
  type: 'window';
  channel: string;
  epoch: string;
  seq: number;
  window_start: string;
  window_ms: number;
  counts: Counts;
  shown?: Counts;
  total: number;
  reactors: number;
}

/** A burst that passed the channel's moment rule. */
export interface Moment {
  type: 'moment';
  channel: string;
  epoch: string;
  seq: number;
  id: string;
  emote: string;
  window_start: string;
  window_ms: number;
  count: number;
  strength: number;
  reactors: number;
  /** Kind of rule that it passed, such as `plain`. */
  rule: string;
  rule_version?: number;
  media_time_ms?: number | null;
}

/** The channel's settings from here on: what makes a moment. */
export interface Settings {
  type: 'settings';
  channel: string;
  epoch: string;
  seq: number;
  version: number;
  rule: { kind: string; [parameter: string]: unknown };
  /** Emotes that can make a moment; null or absent: every emote. */
  allowed_emotes?: string[] | null;
  /** Emotes offered as buttons from here on; absent: as before. */
  palette?: string[];
  palette_version?: number;
  /** The channel's own emotes. */
  custom_emotes?: string[];
}

/** Moments between two sequence numbers that the server no longer has. */
export interface Gap {
  type: 'gap';
  from: number;
  to: number;
}

/** The server is about to close. */
export interface Bye {
  type: 'bye';
  reason: string;
  reconnect_in_ms?: number;
}

/** A reaction is in the log. */
export interface Ack {
  type: 'ack';
  id: string;
}

/** A reaction was refused, or, without an id, something else this viewer sent. */
export interface ErrorFrame {
  type: 'error';
  id?: string;
  code: string;
  detail?: string;
  server_time?: string;
  /** When another attempt may succeed. */
  retry_after_ms?: number;
}

export type ServerFrame = Hello | Pulse | Window | Moment | Settings | Gap | Bye | Ack | ErrorFrame;

/** A tap on its way. */
export interface React {
  type: 'react';
  emote: string;
  id: string;
  media_time_ms?: number;
}

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string';
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const time: Check = (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value));
const texts: Check = (value) => Array.isArray(value) && value.every(text);
const textsOrNone: Check = (value) => value === undefined || texts(value);
const counts: Check = (value) =>
  typeof value === 'object' && value !== null && Object.values(value).every(number);

/** The fields without which a frame is of no use; further fields are let through. */
const REQUIRED: Record<ServerFrame['type'], Record<string, Check>> = {
  hello: { epoch: text, seq: number, server_time: time, window_ms: number, palette: texts },
  pulse: { seq: number, start: time, counts },
  window: { seq: number, window_start: time, window_ms: number, counts, total: number },
  moment: { seq: number, emote: text, window_start: time, count: number, strength: number },
  settings: { seq: number, version: number, palette: textsOrNone },
  gap: { from: number, to: number },
  bye: {},
  ack: { id: text },
  error: { code: text },
};

/** Reads one text frame; undefined when it is none, or of a type that this version does not know. */
export function parseFrame(data: unknown): ServerFrame | undefined {
  if (typeof data !== 'string') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const type = fields['type'];
  if (typeof type !== 'string' || !Object.hasOwn(REQUIRED, type)) return undefined;
  const required = Object.entries(REQUIRED[type as ServerFrame['type']]);
  if (!required.every(([name, check]) => check(fields[name]))) return undefined;
  return value as ServerFrame;
}
