// The viewer's own taps fly from the button at once; this keeps the pulse that brings them back from showing them twice.

import type { Counts } from '@emostream/viewer';

/** A tap that no pulse brought back by now was not seen by one: pulses are best effort. */
const ECHO_MS_MAX = 5_000;

export class OwnEcho {
  readonly #tapped = new Map<string, number[]>();

  tapped(emote: string, nowMs: number): void {
    const times = this.#tapped.get(emote) ?? [];
    times.push(nowMs);
    this.#tapped.set(emote, times);
  }

  /** A tap failed: nothing will come back. */
  forget(emote: string): void {
    this.#tapped.get(emote)?.shift();
  }

  /** What of a pulse is left to show once the own taps in it are taken out. */
  others(shown: Counts, counts: Counts, nowMs: number): Counts {
    const left: Counts = {};
    for (const [emote, show] of Object.entries(shown)) {
      const own = this.#take(emote, counts[emote] ?? 0, nowMs);
      left[emote] = Math.min(show, (counts[emote] ?? show) - own);
    }
    return left;
  }

  #take(emote: string, count: number, nowMs: number): number {
    const times = this.#tapped.get(emote)?.filter((time) => nowMs - time < ECHO_MS_MAX) ?? [];
    const own = Math.min(times.length, count);
    this.#tapped.set(emote, times.slice(own));
    return own;
  }
}
