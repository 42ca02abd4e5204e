// The connection's state as colour and words, with a countdown while it is lost.

import type { ConnectionState } from '@emostream/viewer';
import { part } from '../page.js';
import { liveTexts } from '../texts/live.js';

const texts = liveTexts.connection;

export class ConnectionPanel {
  readonly #pill = part('connection');
  readonly #text = part('connection-text');
  #countdown: ReturnType<typeof setInterval> | undefined;
  #wasLive = false;

  show(state: ConnectionState): void {
    clearInterval(this.#countdown);
    document.body.dataset['connection'] = state.phase;
    switch (state.phase) {
      case 'live':
        this.#wasLive = true;
        return this.#say('live', texts.live);
      case 'connecting':
        if (this.#wasLive) return this.#say('reconnecting', texts.reconnecting);
        return this.#say('connecting', texts.connecting);
      case 'reconnecting':
        return this.#count(Date.now() + state.retryInMs);
      case 'ended':
        return this.#say('ended', texts.endings[state.reason] ?? texts.ended);
    }
  }

  #count(untilMs: number): void {
    this.#wasLive = true;
    const tell = () => {
      const seconds = Math.max(1, Math.ceil((untilMs - Date.now()) / 1000));
      this.#say('reconnecting', texts.reconnectingIn(seconds));
    };
    tell();
    this.#countdown = setInterval(tell, 500);
  }

  #say(state: string, text: string): void {
    this.#pill.dataset['state'] = state;
    // Unchanged words are left alone, so that a screen reader does not repeat them.
    if (this.#text.textContent !== text) this.#text.textContent = text;
  }
}
