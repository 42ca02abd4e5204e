// Times as people read them, in the zone of whoever looks.

const MOMENT = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const TODAY = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** The time alone today, else with the day. */
export function formatTime(rfc3339: string, now: Date = new Date()): string {
  const time = new Date(rfc3339);
  if (Number.isNaN(time.getTime())) return rfc3339;
  return (time.toDateString() === now.toDateString() ? TODAY : MOMENT).format(time);
}
