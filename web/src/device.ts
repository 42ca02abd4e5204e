// This tab as a device of an account: an id that a reload keeps, and a name that its owner knows it by.

const KEY = 'emostream.device';

/** The same until the tab is closed. */
export function deviceId(): string {
  const made = () => crypto.randomUUID?.() ?? randomText();
  try {
    const kept = sessionStorage.getItem(KEY);
    if (kept) return kept;
    const id = made();
    sessionStorage.setItem(KEY, id);
    return id;
  } catch {
    // A browser that keeps nothing takes a new device's place after a reload.
    return made();
  }
}

/** Where a page is not served over TLS, browsers make no UUIDs. */
function randomText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const BROWSERS: [RegExp, string][] = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrome\/|CriOS\//, 'Chrome'],
  [/Safari\//, 'Safari'],
];

const SYSTEMS: [RegExp, string][] = [
  [/Android/, 'Android'],
  [/iPhone|iPad|iPod/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

/** Browser and system, such as `Firefox on Linux`. */
export function deviceName(agent: string = navigator.userAgent): string {
  const found = (names: [RegExp, string][]) => names.find(([mark]) => mark.test(agent))?.[1];
  return [found(BROWSERS) ?? 'Browser', found(SYSTEMS)].filter(Boolean).join(' on ');
}
