// Since when a device is connected, in words; for the entrance and for the account's page.

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long' });

/** Today by the clock, earlier by the day. */
export function sinceWords(since: string, now: Date = new Date()): string {
  const then = new Date(since);
  if (Number.isNaN(then.getTime())) return '';
  const today = then.toDateString() === now.toDateString();
  return today ? CLOCK.format(then) : `${DAY.format(then)}, ${CLOCK.format(then)}`;
}
