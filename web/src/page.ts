// The page's fixed elements, found once and typed, and the words that its panels share.

/** The element with this id; the page cannot work without it. */
export function part<Kind extends Element = HTMLElement>(id: string): Kind {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return element as unknown as Kind;
}

const NUMBER = new Intl.NumberFormat('en');
const CLOCK = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** A moment's strength: of the full rule it is a z, of the plain one a multiple of the threshold. */
export function formatStrength(strength: number, rule: string): string {
  return `${rule === 'full' ? 'z ' : '×'}${strength.toFixed(1)}`;
}

export function formatCount(count: number): string {
  return NUMBER.format(count);
}

/** The viewer's own time of day. */
export function formatClock(unixMs: number): string {
  return CLOCK.format(unixMs);
}

export const prefersCalm = matchMedia('(prefers-reduced-motion: reduce)');
export const prefersDark = matchMedia('(prefers-color-scheme: dark)');
