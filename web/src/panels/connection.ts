// The connection's state as colour and words, with a countdown while it is lost.

import type { ConnectionState, Place } from '@emostream/viewer';
import { part } from '../page.js';
import { liveTexts } from '../texts/live.js';

const texts = liveTexts.connection;

export class ConnectionPanel {
  readonly #pill = part('connection');
  readonly #text = part('connection-text');
  #countdown: ReturnType<typeof setInterval> | undefined;
  #wasLive = false;
  #live: string = texts.live;

  /** Where the stream comes from, where that is not this page's own server. */
  showPlace({ cluster, edge, url }: Place): void {
    const elsewhere = new URL(url).host !== location.host && cluster !== '';
    this.#live = elsewhere ? texts.liveOn(cluster) : texts.live;
    this.#pill.title = elsewhere ? texts.from(cluster, edge, new URL(url).host) : '';
    this.#pill.dataset['edge'] = edge;
  }

  show(state: ConnectionState): void {
    clearInterval(this.#countdown);
    document.body.dataset['connection'] = state.phase;
    switch (state.phase) {
      case 'live':
        this.#wasLive = true;
        return this.#say('live', this.#live);
      case 'connecting':
        if (this.#wasLive) return this.#say('reconnecting', texts.reconnecting);
        return this.#say('connecting', texts.connecting);
      case 'reconnecting':
        return this.#count(Date.now() + state.retryInMs);
      case 'in-line':
        return this.#say('connecting', texts.inLine);
      case 'device-limit':
        return this.#say('connecting', texts.devicesInTheWay);
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
