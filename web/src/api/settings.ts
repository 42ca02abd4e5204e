// A channel's settings over HTTP: read with their version, saved on top of one, tried on the past.

import type {
  Channel,
  PageOf,
  Palette,
  PreviewAnswer,
  RuleInput,
  Settings,
  SettingsVersion,
} from './documents.js';
import { ask, type Answer } from './http.js';

/** Settings as they are sent; what only the server sets is left out. */
export interface SettingsInput {
  rule: RuleInput;
  plain: Settings['plain'];
  allowed_emotes: string[] | null;
  palette: Pick<Settings['palette'], 'featured' | 'accepted_emotes'>;
}

function path(channel: string, rest: string): string {
  return `/v1/channels/${encodeURIComponent(channel)}/${rest}`;
}

export function readSettings(channel: string): Promise<Answer<Settings>> {
  return ask<Settings>(path(channel, 'settings'));
}

/** Saves on top of a version; throws a problem with status 412 when there is a newer one. */
export function saveSettings(
  channel: string,
  input: SettingsInput,
  etag: string,
): Promise<Answer<Settings>> {
  return ask<Settings>(path(channel, 'settings'), { method: 'PUT', json: input, ifMatch: etag });
}

/** Versions, newest first. */
export async function readHistory(channel: string, cursor: string | undefined) {
  const query = new URLSearchParams({ limit: '20', ...(cursor ? { cursor } : {}) });
  return (await ask<PageOf<SettingsVersion>>(path(channel, `settings/history?${query}`))).body;
}

/** The moments that a rule would have found. */
export async function previewRule(
  channel: string,
  rule: RuleInput,
  allowed: string[] | null,
  fromMs: number,
): Promise<PreviewAnswer> {
  const json = { rule, allowed_emotes: allowed, from: new Date(fromMs).toISOString() };
  return (await ask<PreviewAnswer>(path(channel, 'settings/preview'), { method: 'POST', json }))
    .body;
}

export async function readPalette(channel: string): Promise<Palette> {
  return (await ask<Palette>(path(channel, 'palette'))).body;
}

/** Stores a picture under `:name:`. */
export async function uploadEmote(channel: string, name: string, picture: Blob): Promise<void> {
  await ask(path(channel, `emotes/${encodeURIComponent(name)}`), { method: 'PUT', blob: picture });
}

export async function deleteEmote(channel: string, name: string): Promise<void> {
  await ask(path(channel, `emotes/${encodeURIComponent(name)}`), { method: 'DELETE' });
}

export async function readChannel(channel: string): Promise<Channel> {
  return (await ask<Channel>(`/v1/channels/${encodeURIComponent(channel)}`)).body;
}

export async function readChannels(): Promise<Channel[]> {
  return (await ask<PageOf<Channel>>('/v1/channels?limit=100')).body.items;
}
