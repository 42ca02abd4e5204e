// Pictures of a channel's own emotes, asked for only where there are such emotes.

import type { CustomEmote, Palette } from './api/documents.js';

/** Emote to address of its picture. */
export type Pictures = ReadonlyMap<string, string>;

const CUSTOM = /^:[^:]+:$/;
const NONE: Pictures = new Map();

/**
 * The pictures for what a channel offers. Without an answer the buttons show names, which is all that taps need.
 * Asked once a version of the palette; the server tells viewers when it has changed.
 */
export async function customPictures(
  channel: string,
  featured: readonly string[],
  version: number,
): Promise<Pictures> {
  if (!featured.some((emote) => CUSTOM.test(emote))) return NONE;
  const path = `/v1/channels/${encodeURIComponent(channel)}/palette?version=${version}`;
  try {
    const answer = await fetch(path);
    if (!answer.ok) return NONE;
    const palette = (await answer.json()) as Palette;
    return picturesOf(palette.custom_emotes);
  } catch {
    return NONE;
  }
}

/** Where the pictures are; an emote may be named before it has one. */
export function picturesOf(emotes: readonly CustomEmote[]): Pictures {
  return new Map(emotes.flatMap(({ emote, url }) => (url === null ? [] : [[emote, url] as const])));
}
