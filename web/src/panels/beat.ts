// The last ten seconds of pulses as a row of bars.

import { prefersCalm } from '../page.js';
import { Picture } from '../picture.js';

const PULSE_MS = 100;
const BARS = 100;
/** With reduced motion the picture stands still between redraws. */
const CALM_REDRAW_MS = 2_000;
/** A lone tap fills this part of the height: the scale never sinks below such a ceiling. */
const CEILING_MIN = 4;

export class Beat {
  /** By slot of 100 ms; slots without a pulse are empty. */
  readonly #totals = new Map<number, number>();
  readonly #picture: Picture;
  #drawnMs = 0;

  constructor(canvas: HTMLElement) {
    this.#picture = new Picture(canvas as HTMLCanvasElement, this.#draw);
    setInterval(() => this.#turn(), PULSE_MS);
  }

  add(total: number): void {
    const slot = Math.floor(Date.now() / PULSE_MS);
    this.#totals.set(slot, (this.#totals.get(slot) ?? 0) + total);
    for (const old of this.#totals.keys()) {
      if (old > slot - BARS) break;
      this.#totals.delete(old);
    }
  }

  #turn(): void {
    if (document.visibilityState !== 'visible') return;
    const nowMs = Date.now();
    if (prefersCalm.matches && nowMs - this.#drawnMs < CALM_REDRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#picture.redraw();
  }

  readonly #draw = (context: CanvasRenderingContext2D, width: number, height: number): void => {
    const newest = Math.floor(Date.now() / PULSE_MS);
    const ceiling = Math.max(CEILING_MIN, ...this.#totals.values());
    const step = width / BARS;
    context.fillStyle = this.#picture.color('--beat');
    for (let index = 0; index < BARS; index += 1) {
      const total = this.#totals.get(newest - index) ?? 0;
      const tall = total === 0 ? 1 : Math.max(2, (total / ceiling) * height);
      context.globalAlpha = 1 - 0.75 * (index / BARS);
      context.fillRect(width - (index + 1) * step, height - tall, Math.max(1, step - 1), tall);
    }
  };
}
