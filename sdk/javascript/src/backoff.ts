// Waiting times between connection attempts: exponential with full jitter, so that a crowd does not return at once.

const BASE_MS = 500;
const CAP_MS = 20_000;
/** Whoever stands in line loses the place by being silent: 15 s of it are allowed in front. */
export const IN_LINE_CAP_MS = 5_000;
/** `bye.reconnect_in_ms` is honoured up to here: a wrong number must not silence a viewer for good. */
const ORDERED_MS_MAX = 120_000;

/** Milliseconds to wait before attempt number `attempt` (0 is the first after a loss). */
export function backoffMs(attempt: number, random: () => number, capMs = CAP_MS): number {
  const ceiling = Math.min(capMs, BASE_MS * 2 ** Math.min(attempt, 16));
  return Math.round(random() * ceiling);
}

/** The wait that the server ordered, bounded. */
export function orderedMs(reconnectInMs: number): number {
  return Math.min(Math.max(0, reconnectInMs), ORDERED_MS_MAX);
}
