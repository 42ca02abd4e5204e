// Which emotes can make a moment, in the head of the list of moments.

import type { Settings } from '@emostream/viewer';
import { emoteName } from '../emote-names.js';
import { part } from '../page.js';
import { liveTexts } from '../texts/live.js';

/** Emotes shown before the rest becomes a number: what a phone's line holds. */
const SHOWN_MAX = 6;

export class SourcesPanel {
  readonly #note = part('moment-sources');

  /** Shows the allowed list; null or absent: every emote. */
  show({ allowed_emotes: allowed, version }: Settings): void {
    this.#note.dataset['version'] = String(version);
    const spoken = document.createElement('span');
    spoken.className = 'visually-hidden';
    const seen = document.createElement('span');
    seen.setAttribute('aria-hidden', 'true');
    if (!allowed || allowed.length === 0) {
      spoken.textContent = allowed
        ? liveTexts.momentsFromNoneSpoken
        : liveTexts.momentsFromAllSpoken;
      seen.textContent = allowed ? liveTexts.momentsFromNone : liveTexts.momentsFromAll;
    } else {
      spoken.textContent = liveTexts.momentsFromSpoken(allowed.map(emoteName));
      const emotes = document.createElement('span');
      emotes.className = 'emote';
      emotes.textContent = allowed.slice(0, SHOWN_MAX).join(' ');
      seen.append(`${liveTexts.momentsFrom} `, emotes);
      const rest = allowed.length - SHOWN_MAX;
      if (rest > 0) seen.append(` ${liveTexts.momentsFromMore(rest)}`);
    }
    this.#note.replaceChildren(spoken, seen);
  }
}
