// Pictures of a channel's own emotes, asked for only where there are such emotes.

import type { CustomEmote, Palette } from './api/documents.js';

/** Emote to address of its picture. */
export type Pictures = ReadonlyMap<string, string>;

const CUSTOM = /^:[^:]+:$/;

/** The pictures of one channel as they come in: asked for once a version of the palette, and only when one is needed. */
export class ChannelPictures {
  readonly #channel: string;
  readonly #changed: (pictures: Pictures) => void;
  #version = 0;
  /** Version that was asked for. */
  #asked: number | undefined;

  constructor(channel: string, changed: (pictures: Pictures) => void) {
    this.#channel = channel;
    this.#changed = changed;
  }

  /** The palette's version by now; what it features is on the screen. */
  update(version: number, featured: readonly string[]): void {
    this.#version = version;
    this.see(featured);
  }

  /** Emotes that are on the screen or in flight; a channel may take more of its own than it features. */
  see(emotes: readonly string[]): void {
    if (this.#asked === this.#version || !emotes.some((emote) => CUSTOM.test(emote))) return;
    this.#asked = this.#version;
    void this.#ask(this.#version);
  }

  /** Without an answer the buttons show names, which is all that taps need. */
  async #ask(version: number): Promise<void> {
    const path = `/v1/channels/${encodeURIComponent(this.#channel)}/palette?version=${version}`;
    try {
      const answer = await fetch(path);
      if (!answer.ok || version !== this.#version) return;
      this.#changed(picturesOf(((await answer.json()) as Palette).custom_emotes));
    } catch {
      // The next version asks again.
    }
  }
}

/** Where the pictures are; an emote may be named before it has one. */
export function picturesOf(emotes: readonly CustomEmote[]): Pictures {
  return new Map(emotes.flatMap(({ emote, url }) => (url === null ? [] : [[emote, url] as const])));
}

/** Shows an emote in an element: its picture, or its character or name. */
export function showFace(face: Element, emote: string, pictures: Pictures): void {
  const url = pictures.get(emote);
  if (!url) {
    if (face.textContent !== emote) face.replaceChildren(emote);
    return;
  }
  if (face.querySelector('img')?.getAttribute('src') === url) return;
  const image = document.createElement('img');
  image.src = url;
  image.alt = '';
  face.replaceChildren(image);
}
