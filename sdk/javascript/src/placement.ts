// Where a viewer is sent: asks the server for an edge that has room, waits in line for one, and says which devices stand in the way.

/** How the server is asked for an edge. */
export interface PlacementOptions {
  /** The account's login token (of `POST /v1/login`), asked for at each attempt; none: a guest. */
  token?: () => string | undefined;
  /**
   * Tells this device, such as a tab of a browser, from the account's others: keep it where a reload keeps it
   * (`sessionStorage`). The same id takes over its own place. 1 to 128 characters; without one the server chooses one, which
   * this viewer keeps as long as it lives. Not looked at where nobody is logged in.
   */
  deviceId?: string;
  /** What its owner knows it by, such as `Firefox on Linux`; 128 characters at most. */
  deviceName?: string;
  /** Asks the server; `fetch` by default. */
  fetch?: typeof globalThis.fetch;
}

/** A device of the account that has one of the places of its tier. */
export interface Device {
  /** For `Viewer.endDevice`. */
  device_id: string;
  /** Empty: it gave itself none. */
  name: string;
  /** Since when it has the place, RFC 3339. */
  since: string;
  cluster: string;
  edge: string;
  /** Else it has a ticket that it has not used yet. */
  connected: boolean;
}

/** The edge that a viewer was sent to. */
export interface Place {
  cluster: string;
  edge: string;
  /** Where it is, such as `http://127.0.0.1:3005`. */
  url: string;
}

/** What came of asking. */
export type Placed =
  | { outcome: 'placed'; place: Place; ticket: string }
  | { outcome: 'in-line'; place: number; waiting: number; retryInMs: number }
  /** `retryInMs`: when one of them is known to be gone, where the server knows that one may be. */
  | { outcome: 'device-limit'; devices: Device[]; retryInMs: number | undefined }
  | { outcome: 'refused'; status: number; reason: string; detail: string }
  | { outcome: 'failed'; reason: string; retryInMs: number | undefined; isDown: boolean };

type Fields = Record<string, unknown>;

/** An answer that takes longer is given up. */
const ANSWER_MS_MAX = 10_000;
/**
 * The server says when to ask again, after a minute at most. Who has not asked 10 s after that time has left the line, and no sooner
 * than after 15 s of silence: what is longer than a minute is no wait that the server meant.
 */
const LINE_MS_MAX = 60_000;
const LINE_MS_MIN = 500;

/** Problems of a server on which nobody places viewers now; an older one knows nothing of it at all. */
const NOBODY_PLACES = new Set([
  'control-unavailable',
  'method-not-allowed',
  'not-found',
  'role-not-here',
  'store-unavailable',
]);

export class Placement {
  readonly #options: PlacementOptions;
  readonly #url: string;
  readonly #channel: string;
  readonly #now: () => number;
  /** The place in line; signed, so that it outlives the server's memory. Kept until an edge has let this viewer in. */
  #line: string | undefined;
  #endDevice: string | undefined;
  /** What the server called this device where the program did not: a reconnection is no second device. */
  #deviceId: string | undefined;
  /** The edge of the last place, and the one that was lost there, which may be dead before control knows it. */
  #edge: string | undefined;
  #lostEdge: string | undefined;

  constructor(options: PlacementOptions, url: string, channel: string, now: () => number) {
    this.#options = options;
    this.#url = url;
    this.#channel = channel;
    this.#now = now;
  }

  /** Whether nobody is logged in. */
  get isGuest(): boolean {
    return this.#options.token?.() === undefined;
  }

  /** Whether it waits for a place: nobody overtakes the others by another way in. */
  get isInLine(): boolean {
    return this.#line !== undefined;
  }

  /** An edge has let this viewer in: the place in line is used up. */
  entered(): void {
    this.#line = undefined;
  }

  /** The next attempt ends this device of the account and takes its place. */
  endNext(deviceId: string): void {
    this.#endDevice = deviceId;
  }

  /** The edge did not greet, or went without a good-bye: the next attempt goes to another one, if any has room. */
  lose(): void {
    this.#lostEdge = this.#edge;
  }

  async ask(): Promise<Placed> {
    let response: Response;
    let fields: Fields;
    try {
      response = await this.#send();
      fields = await read(response);
    } catch {
      return { outcome: 'failed', reason: 'no answer', retryInMs: undefined, isDown: true };
    }
    // Tried: it was ended, or it was not there and the others still are. Without room nothing is ended yet: it stays for then.
    if (response.ok || response.status === 409) this.#endDevice = undefined;
    return this.#understand(response, fields);
  }

  #send(): Promise<Response> {
    const { token, deviceId = this.#deviceId, deviceName } = this.#options;
    const headers: Record<string, string> = {
      accept: 'application/json',
      'content-type': 'application/json',
    };
    const own = token?.();
    if (own !== undefined) headers['authorization'] = `Bearer ${own}`;
    const body = {
      channel: this.#channel,
      ...(deviceId === undefined ? {} : { device_id: deviceId }),
      ...(deviceName === undefined ? {} : { device_name: deviceName }),
      ...(this.#line === undefined ? {} : { line: this.#line }),
      ...(this.#endDevice === undefined ? {} : { end_device_id: this.#endDevice }),
      ...(this.#lostEdge === undefined ? {} : { lost_edge: this.#lostEdge }),
    };
    const ask = this.#options.fetch ?? globalThis.fetch;
    return ask(new URL('/v1/placements', this.#url).href, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      cache: 'no-store',
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
  }

  #understand(response: Response, fields: Fields): Placed {
    const name = nameOf(fields);
    const retryInMs = this.#retryInMs(response);
    if (response.ok) {
      const { ticket, url } = fields;
      if (typeof ticket !== 'string' || typeof url !== 'string') {
        return { outcome: 'failed', reason: 'an answer without ticket', retryInMs, isDown: true };
      }
      const { device_id: deviceId } = fields;
      if (typeof deviceId === 'string') this.#deviceId = deviceId;
      const place = placeOf(fields, url || this.#url);
      this.#edge = place.edge || undefined;
      this.#lostEdge = undefined;
      return { outcome: 'placed', place, ticket };
    }
    // Not words of the server's: of a proxy that has nobody behind it just now, say.
    if (name === undefined) {
      const reason = `status ${response.status}`;
      return { outcome: 'failed', reason, retryInMs, isDown: true };
    }
    if (name === 'device-limit' && Array.isArray(fields['devices'])) {
      return { outcome: 'device-limit', devices: fields['devices'] as Device[], retryInMs };
    }
    const line = fields['line'] as Fields | undefined;
    if (name === 'no-room' && typeof line?.['token'] === 'string') {
      this.#line = line['token'];
      const [place, waiting] = [Number(line['place']), Number(line['waiting'])];
      const waitMs = Math.min(Math.max(retryInMs ?? 2_000, LINE_MS_MIN), LINE_MS_MAX);
      return { outcome: 'in-line', place, waiting, retryInMs: waitMs };
    }
    const { status } = response;
    // Neither asking too often nor a server in trouble is a reason to stay away.
    const isDown = NOBODY_PLACES.has(name);
    if (isDown || status >= 500 || status === 429 || status === 408) {
      return { outcome: 'failed', reason: name, retryInMs, isDown };
    }
    return { outcome: 'refused', status, reason: name, detail: String(fields['detail'] ?? name) };
  }

  /** `Retry-After`, in seconds or as a date. */
  #retryInMs({ headers }: Response): number | undefined {
    const after = headers.get('retry-after');
    if (after === null) return undefined;
    const seconds = Number(after);
    const waitMs = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(after) - this.#now();
    return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
  }
}

function placeOf(fields: Fields, url: string): Place {
  const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '');
  return { cluster: text('cluster'), edge: text('edge'), url };
}

/** The last part of a problem's type, such as `no-room`. */
function nameOf(fields: Fields): string | undefined {
  const type = fields['type'];
  return typeof type === 'string' ? (type.split('/').at(-1) ?? type) : undefined;
}

async function read(response: Response): Promise<Fields> {
  try {
    const value: unknown = await response.json();
    return typeof value === 'object' && value !== null ? (value as Fields) : {};
  } catch {
    // A proxy in between answers in words of its own.
    return {};
  }
}
