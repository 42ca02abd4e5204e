// The server's clock as seen from here: an offset learned from every hello.

/** Larger differences are a changed clock or a sleep, not jitter: taken over at once. */
const STEP_MS = 2_000;
/** Weight of a new observation against what is known. */
const WEIGHT = 0.3;

/** Local time plus a smoothed offset. */
export class ServerTime {
  readonly #localNow: () => number;
  #offsetMs: number | undefined;

  constructor(localNow: () => number) {
    this.#localNow = localNow;
  }

  /** Whether a hello has told the server's time yet. */
  get known(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** Learns from a hello; an unreadable time is ignored. */
  observe(serverTime: string): void {
    const offset = Date.parse(serverTime) - this.#localNow();
    if (Number.isNaN(offset)) return;
    const known = this.#offsetMs;
    const step = known === undefined || Math.abs(offset - known) > STEP_MS;
    this.#offsetMs = step ? offset : known + WEIGHT * (offset - known);
  }

  /** Server time of a local instant, in Unix milliseconds; the local instant while nothing is known. */
  at(localMs: number): number {
    return localMs + (this.#offsetMs ?? 0);
  }

  now(): number {
    return this.at(this.#localNow());
  }
}
