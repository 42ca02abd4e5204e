// What the page knows of the newest windows: a bounded time line and sums, fed by the stream and by the archive alike.

import type { Counts } from '@emostream/viewer';

/** A window as the stream and the REST answer have in common. */
export interface WindowRow {
  seq: number;
  window_start: string;
  window_ms: number;
  counts: Counts;
  total: number;
  reactors: number;
}

/** Windows kept: what the heat strip shows. */
export const WINDOWS_KEPT = 60;

export class WindowLedger {
  /** Ascending by start. */
  readonly #rows: (WindowRow & { startMs: number })[] = [];
  #joinedMs: number | undefined;
  #joinedTotal = 0;

  /** From here on windows count as seen by this viewer; later calls change nothing. */
  join(serverTimeMs: number): void {
    this.#joinedMs ??= serverTimeMs;
  }

  /** Reactions in all windows that ended after joining. */
  get joinedTotal(): number {
    return this.#joinedTotal;
  }

  get rows(): readonly (WindowRow & { startMs: number })[] {
    return this.#rows;
  }

  get newest(): (WindowRow & { startMs: number }) | undefined {
    return this.#rows.at(-1);
  }

  /** Takes a window in any order; false when it is known or older than all that are kept. */
  add(row: WindowRow): boolean {
    const startMs = Date.parse(row.window_start);
    const index = this.#rows.findLastIndex((known) => known.startMs <= startMs);
    if (this.#rows[index]?.startMs === startMs) return false;
    const full = this.#rows.length >= WINDOWS_KEPT;
    if (full && index < 0) return false;
    this.#rows.splice(index + 1, 0, { ...row, startMs });
    if (full) this.#rows.shift();
    const endMs = startMs + row.window_ms;
    if (this.#joinedMs !== undefined && endMs > this.#joinedMs) this.#joinedTotal += row.total;
    return true;
  }

  /** The emotes with the most reactions in the kept windows, most first. */
  leaders(count: number): string[] {
    const sums = new Map<string, number>();
    for (const { counts } of this.#rows) {
      for (const [emote, n] of Object.entries(counts)) sums.set(emote, (sums.get(emote) ?? 0) + n);
    }
    return [...sums]
      .sort((a, b) => b[1] - a[1])
      .slice(0, count)
      .map(([emote]) => emote);
  }
}
