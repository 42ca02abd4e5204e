// Reactions on their way: kept until acknowledged, sent again after a reconnection with the same id, bounded in number and age.

import { ReactionError } from './errors.js';
import type { React } from './frames.js';
import type { ServerTime } from './server-time.js';

/** Reactions waiting at once; a tap beyond them is refused visibly. */
export const PENDING_MAX = 256;
/** The server takes ids up to 120 s old: what is older than this could arrive too late. */
export const PENDING_AGE_MS_MAX = 100_000;

interface Pending {
  emote: string;
  mediaTimeMs: number | undefined;
  /** Local clock. */
  tappedMs: number;
  id: string | undefined;
  /** Times sent under its id. */
  sends: number;
  /** Whether the server's clock already made it take a new id. */
  renewed: boolean;
  resolve: (id: string) => void;
  reject: (error: ReactionError) => void;
}

interface OutboxOptions {
  now: () => number;
  newId: (unixMs: number) => string;
  serverTime: ServerTime;
}

export class Outbox {
  readonly #options: OutboxOptions;
  /** In the order of tapping. */
  readonly #pending = new Set<Pending>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Takes a tap; the promise gives its id when it is acknowledged. */
  add(emote: string, mediaTimeMs: number | undefined): Promise<string> {
    if (this.#pending.size >= PENDING_MAX) {
      const detail = `${PENDING_MAX} reactions are already waiting`;
      return Promise.reject(new ReactionError('queue-full', detail));
    }
    return new Promise((resolve, reject) => {
      const tappedMs = this.#options.now();
      const fresh = { id: undefined, sends: 0, renewed: false };
      this.#pending.add({ emote, mediaTimeMs, tappedMs, ...fresh, resolve, reject });
    });
  }

  /** Sends what was never sent, or with `again` everything that waits. */
  flush(send: (frame: React) => boolean, again = false): void {
    this.expire();
    for (const pending of this.#pending) {
      if (pending.sends > 0 && !again) continue;
      pending.id ??= this.#options.newId(this.#options.serverTime.at(pending.tappedMs));
      const { emote, id, mediaTimeMs } = pending;
      const media = mediaTimeMs === undefined ? {} : { media_time_ms: mediaTimeMs };
      if (!send({ type: 'react', emote, id, ...media })) return;
      pending.sends += 1;
    }
  }

  acknowledge(id: string): void {
    const pending = this.#take(id);
    pending?.resolve(id);
  }

  /** The server refused a reaction. True: its clock was the reason and it waits again under a new id. */
  refuse(id: string, code: string, detail: string, serverTimeTold: boolean): boolean {
    // The server leaves, not the viewer: it waits for the connection to come, under its id.
    if (code === 'stopping') return false;
    const pending = this.#take(id);
    if (!pending) return false;
    // Safe only after a single send: an earlier one may have been counted under the old id.
    const renewable = serverTimeTold && pending.sends === 1 && !pending.renewed;
    if (code === 'id-out-of-range' && renewable) {
      const tappedMs = this.#options.now();
      this.#pending.add({ ...pending, id: undefined, sends: 0, renewed: true, tappedMs });
      return true;
    }
    pending.reject(new ReactionError(code, detail, id));
    return false;
  }

  /** Rejects what is too old to be taken. */
  expire(): void {
    const oldest = this.#options.now() - PENDING_AGE_MS_MAX;
    for (const pending of this.#pending) {
      if (pending.tappedMs > oldest) return;
      this.#pending.delete(pending);
      const detail = `not acknowledged within ${PENDING_AGE_MS_MAX / 1000} s`;
      pending.reject(new ReactionError('expired', detail, pending.id));
    }
  }

  /** Rejects everything: the connection has ended for good. */
  close(detail: string): void {
    const rejected = [...this.#pending];
    this.#pending.clear();
    for (const { id, reject } of rejected) reject(new ReactionError('closed', detail, id));
  }

  #take(id: string): Pending | undefined {
    for (const pending of this.#pending) {
      if (pending.id !== id) continue;
      this.#pending.delete(pending);
      return pending;
    }
    return undefined;
  }
}
