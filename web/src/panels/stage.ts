// The stage: emotes in flight, the newest window's numbers, and the beat of the pulses.

import type { Counts, Pulse } from '@emostream/viewer';
import type { EmostreamLayer } from '@emostream/viewer/layer';
import { formatCount, part } from '../page.js';
import { OwnEcho } from '../own-echo.js';
import { liveTexts } from '../texts/live.js';
import type { WindowLedger } from '../window-ledger.js';
import { Beat } from './beat.js';

/** A window is final the lateness after its end; this much later without one, nothing is happening. */
const QUIET_AFTER_WINDOWS = 2;
const QUIET_SLACK_MS = 1_500;
/** How long a moment lights the stage. */
const MOMENT_LIGHT_MS = 1_800;

export class Stage {
  readonly #stage = part('stage');
  readonly #layer = part<EmostreamLayer>('layer');
  readonly #figures = part('figures');
  readonly #total = part('window-total');
  readonly #label = part('window-label');
  readonly #reactors = part('reactors');
  readonly #joined = part('joined-total');
  readonly #pulse = part('pulse-count');
  readonly #beat = new Beat(part('beat'));
  readonly #echo = new OwnEcho();
  #light: ReturnType<typeof setTimeout> | undefined;
  #peak = 1;

  /** Numbers of the newest window, or nothing when it is long over. */
  showWindows(ledger: WindowLedger, serverNowMs: number): void {
    const newest = ledger.newest;
    if (!newest) return;
    const endMs = newest.startMs + newest.window_ms;
    const quiet = serverNowMs - endMs > QUIET_AFTER_WINDOWS * newest.window_ms + QUIET_SLACK_MS;
    const { total, reactors } = quiet ? { total: 0, reactors: 0 } : newest;
    this.#total.textContent = formatCount(total);
    const seconds = newest.window_ms / 1000;
    this.#label.textContent = liveTexts.reactionsIn(total, seconds);
    this.#reactors.textContent = formatCount(reactors);
    this.#joined.textContent = formatCount(ledger.joinedTotal);
    this.#figures.dataset['counts'] = JSON.stringify(newest.counts);
    this.#figures.dataset['windowStart'] = newest.window_start;
    this.#total.dataset['total'] = String(newest.total);
    this.#peak = Math.max(1, ...ledger.rows.map((row) => row.total));
    // Set by script, so the page's policy needs no inline styles.
    this.#stage.style.setProperty('--energy', String(Math.sqrt(total / this.#peak)));
  }

  showPulse({ counts, shown }: Pulse): void {
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    this.#beat.add(total);
    this.#pulse.textContent = formatCount(total);
    if (total > 0) {
      this.#pulse.dataset['counts'] = JSON.stringify(counts);
      const [emote, count] = largest(counts);
      this.#pulse.dataset['emote'] = emote;
      this.#pulse.dataset['count'] = String(count);
    }
    this.#layer.show(this.#echo.others(shown ?? counts, counts, performance.now()), counts);
  }

  /** The viewer's own tap takes off from its button. */
  launch(emote: string, clientX: number, clientY: number): void {
    this.#echo.tapped(emote, performance.now());
    this.#layer.launchFrom(emote, clientX, clientY);
  }

  /** An own tap was refused and will not come back in a pulse. */
  forget(emote: string): void {
    this.#echo.forget(emote);
  }

  /** Pictures of the channel's own emotes, by name. */
  showPictures(pictures: ReadonlyMap<string, string>): void {
    this.#layer.setPictures(pictures);
  }

  lightUp(): void {
    clearTimeout(this.#light);
    this.#stage.dataset['moment'] = '';
    this.#light = setTimeout(() => delete this.#stage.dataset['moment'], MOMENT_LIGHT_MS);
  }
}

function largest(counts: Counts): [emote: string, count: number] {
  return Object.entries(counts).reduce((most, entry) => (entry[1] > most[1] ? entry : most));
}
