// The calm form of the layer for people who asked for less motion: recent sums that stand still.

import type { Counts } from '../frames.js';
import type { Sprites } from './sprites.js';

/** Emotes shown at once. */
const SHOWN_MAX = 5;
/** How long a reaction counts as recent; also how often the picture changes. */
export const TALLY_MS = 2_000;

/** Sums over the last interval. */
export class Tally {
  #running = new Map<string, number>();
  #shown: [emote: string, count: number][] = [];
  #turnMs = 0;

  add(counts: Counts): void {
    for (const [emote, count] of Object.entries(counts)) {
      this.#running.set(emote, (this.#running.get(emote) ?? 0) + count);
    }
  }

  /** Ends the interval when it is over; true when there is something new to draw. */
  turn(nowMs: number): boolean {
    if (nowMs - this.#turnMs < TALLY_MS) return false;
    this.#turnMs = nowMs;
    this.#shown = [...this.#running].sort((a, b) => b[1] - a[1]).slice(0, SHOWN_MAX);
    this.#running = new Map();
    return true;
  }

  draw(
    context: CanvasRenderingContext2D,
    area: DOMRect,
    sprites: Sprites,
    { color, fontFamily }: Pick<CSSStyleDeclaration, 'color' | 'fontFamily'>,
  ): void {
    const shown = this.#shown;
    const step = Math.min(120, area.width / Math.max(1, shown.length));
    const size = Math.min(48, step * 0.42);
    const left = (area.width - step * shown.length) / 2 + step / 2;
    context.font = `600 ${Math.round(size * 0.42)}px ${fontFamily}`;
    context.textAlign = 'center';
    context.textBaseline = 'top';
    context.fillStyle = color;
    const y = area.height * 0.62;
    shown.forEach(([emote, count], index) => {
      const x = left + index * step;
      context.drawImage(sprites.of(emote), x - size / 2, y - size / 2, size, size);
      context.fillText(count.toLocaleString(), x, y + size * 0.62);
    });
  }
}
