// One WebSocket at a time, opened again until the server or the program ends it.

import { backoffMs, IN_LINE_CAP_MS, orderedMs } from './backoff.js';
import { CLOSE_CODES, isTerminal } from './close-codes.js';
import { SUBPROTOCOL } from './frames.js';
import type { Device, Placed } from './placement.js';

/** Where a viewer stands, for a screen to show. */
export type ConnectionState =
  | { phase: 'connecting' }
  | { phase: 'live' }
  /** The connection was lost, or nobody answered: the next attempt comes by itself. */
  | { phase: 'reconnecting'; attempt: number; retryInMs: number; reason: string }
  /** No edge has room: this viewer is number `place` of `waiting`, and is let in when it is its turn. */
  | { phase: 'in-line'; place: number; waiting: number; retryInMs: number }
  /**
   * The account has as many devices connected as it may: end one of them, or ask again. With `retryInMs` one of them may be
   * gone, and is asked after then; without, nothing happens by itself.
   */
  | { phase: 'device-limit'; devices: Device[]; retryInMs?: number }
  /**
   * For good. `code` is a close code (`CLOSE_CODES`, or 1000 after `close()`), or, where placement refused, the status of its
   * answer: 401 for a login that is over, 403 with the reason `guests-refused` where the channel is for members, 404 where there
   * is no such channel. `reason` is stable for programs.
   */
  | { phase: 'ended'; code: number; reason: string };

/** The part of a browser's WebSocket that is used, so that tests can give their own. */
export type Socket = Pick<WebSocket, 'readyState' | 'onmessage' | 'onclose' | 'send' | 'close'>;

/** What the connection needs of its surroundings; chance and sockets are parameters. */
export interface ConnectionEnvironment {
  openSocket: (url: string, subprotocol: string) => Socket;
  random: () => number;
  /** Fires `online` and `offline`; a browser's window. */
  network: Pick<EventTarget, 'addEventListener' | 'removeEventListener'> | undefined;
}

interface ConnectionHandlers {
  /** Where to connect; a ticket is for the edge that was allotted. */
  url: (placed?: Extract<Placed, { outcome: 'placed' }>) => string;
  /** Asks for an edge before each attempt; none: the server itself is connected to. */
  place: (() => Promise<Placed>) | undefined;
  /** Whether the server itself may be tried while nobody says which edge. */
  mayGoDirectly: () => boolean;
  /** Whether it has a place in line, which too long a silence loses. */
  isInLine: () => boolean;
  /** The edge that was allotted did not greet, or went without a good-bye. */
  onLost: () => void;
  onMessage: (data: unknown) => void;
  onState: (state: ConnectionState) => void;
}

/** A handshake and hello that take longer are given up. */
const GREETING_MS_MAX = 10_000;
/** A connection that lasted this long was a good one: the next loss starts the backoff afresh. */
const STABLE_MS = 10_000;
const OPEN = 1;
const NORMAL_CLOSURE = 1000;
/** What a browser tells of a connection that ended without a close frame. */
const ABNORMAL_CLOSURE = 1006;

export class Connection {
  readonly #environment: ConnectionEnvironment;
  readonly #handlers: ConnectionHandlers;
  #state: ConnectionState = { phase: 'connecting' };
  #socket: Socket | undefined;
  #attempt = 0;
  #orderedMs: number | undefined;
  /** The server itself has said that it lets nobody in who was not sent there. */
  #mustBePlaced = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #greetingTimer: ReturnType<typeof setTimeout> | undefined;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;
  /** Tells the answer to the newest question from those that come too late. */
  #question = 0;

  constructor(environment: ConnectionEnvironment, handlers: ConnectionHandlers) {
    this.#environment = environment;
    this.#handlers = handlers;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Starts; the state is reported from here on. */
  open(): void {
    this.#environment.network?.addEventListener('online', this.#online);
    this.#environment.network?.addEventListener('offline', this.#offline);
    this.#connect();
  }

  /** The greeting came: the connection is live. */
  greeted(): void {
    clearTimeout(this.#greetingTimer);
    this.#stableTimer = setTimeout(() => (this.#attempt = 0), STABLE_MS);
    this.#become({ phase: 'live' });
  }

  /** The server said when to come back after its coming close. */
  returnIn(reconnectInMs: number): void {
    this.#orderedMs = orderedMs(reconnectInMs);
  }

  /** Whether the text was handed to a live socket. */
  send(text: string): boolean {
    if (this.#state.phase !== 'live' || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /** Ends for good. */
  close(): void {
    if (this.#state.phase === 'ended') return;
    const socket = this.#release();
    this.#end(NORMAL_CLOSURE, 'closed');
    socket?.close(NORMAL_CLOSURE);
  }

  /** Asks at once, where something waits: somebody has made room. */
  retryNow(): void {
    if (!['reconnecting', 'in-line', 'device-limit'].includes(this.#state.phase)) return;
    this.#release();
    this.#connect(this.#state.phase !== 'device-limit');
  }

  #connect(isAutomatic = true): void {
    const { place } = this.#handlers;
    // Who stands in line still does while the question is on its way; and a choice is left to who has it.
    if (!isAutomatic || !isWaiting(this.#state)) this.#become({ phase: 'connecting' });
    if (!place) return this.#open(this.#handlers.url());
    this.#question += 1;
    const question = this.#question;
    void place().then((placed) => {
      if (question === this.#question) this.#take(placed);
    });
  }

  #take(placed: Placed): void {
    switch (placed.outcome) {
      case 'placed':
        return this.#open(this.#handlers.url(placed), true);
      case 'in-line': {
        const { place, waiting, retryInMs } = placed;
        this.#attempt = 0;
        this.#retryTimer = setTimeout(() => this.#connect(), retryInMs);
        return this.#become({ phase: 'in-line', place, waiting, retryInMs });
      }
      case 'device-limit': {
        const { devices, retryInMs } = placed;
        if (retryInMs === undefined) return this.#become({ phase: 'device-limit', devices });
        this.#retryTimer = setTimeout(() => this.#connect(), retryInMs);
        return this.#become({ phase: 'device-limit', devices, retryInMs });
      }
      case 'refused':
        return this.#end(placed.status, placed.reason);
      case 'failed':
        if (placed.isDown && !this.#mustBePlaced && this.#handlers.mayGoDirectly())
          return this.#open(this.#handlers.url());
        return this.#retry(placed.reason, this.#later(placed.retryInMs));
    }
  }

  /** Not before the server said, and not with everybody else. */
  #later(retryInMs: number | undefined): number | undefined {
    if (retryInMs === undefined) return undefined;
    return orderedMs(retryInMs) + this.#backoffMs(this.#attempt);
  }

  #backoffMs(attempt: number): number {
    const capMs = this.#handlers.isInLine() ? IN_LINE_CAP_MS : undefined;
    return backoffMs(attempt, this.#environment.random, capMs);
  }

  #open(url: string, isPlaced = false): void {
    const socket = this.#environment.openSocket(url, SUBPROTOCOL);
    this.#socket = socket;
    this.#orderedMs = undefined;
    if (this.#state.phase !== 'connecting') this.#become({ phase: 'connecting' });
    this.#greetingTimer = setTimeout(() => {
      if (isPlaced) this.#handlers.onLost();
      this.#drop('no greeting');
    }, GREETING_MS_MAX);
    socket.onmessage = ({ data }) => this.#handlers.onMessage(data);
    socket.onclose = ({ code, reason }) => {
      this.#release();
      if (isPlaced && code === ABNORMAL_CLOSURE) this.#handlers.onLost();
      if (!isPlaced && code === CLOSE_CODES.ticketRefused) this.#mustBePlaced = true;
      if (isTerminal(code)) this.#end(code, reason);
      else this.#retry(reason || `closed with ${code}`);
    };
  }

  #retry(reason: string, waitMs?: number): void {
    const attempt = this.#attempt;
    const retryInMs = waitMs ?? this.#orderedMs ?? this.#backoffMs(attempt);
    // Said once, it holds once: whoever still meets nobody then must not come back at the same pace for ever.
    this.#orderedMs = undefined;
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => this.#connect(), retryInMs);
    // A question without an answer changes nothing of what is waited for.
    if (isWaiting(this.#state)) return this.#become({ ...this.#state, retryInMs });
    this.#become({ phase: 'reconnecting', attempt: attempt + 1, retryInMs, reason });
  }

  /** Leaves a socket that is of no use without waiting for its closing handshake. */
  #drop(reason: string): void {
    this.#release()?.close(NORMAL_CLOSURE, reason);
    this.#retry(reason);
  }

  /** Forgets the socket and every timer, so that nothing late can arrive. */
  #release(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#question += 1;
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
    }
    clearTimeout(this.#greetingTimer);
    clearTimeout(this.#stableTimer);
    clearTimeout(this.#retryTimer);
    return socket;
  }

  #end(code: number, reason: string): void {
    this.#environment.network?.removeEventListener('online', this.#online);
    this.#environment.network?.removeEventListener('offline', this.#offline);
    this.#become({ phase: 'ended', code, reason });
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.#handlers.onState(state);
  }

  readonly #online = (): void => {
    if (!['reconnecting', 'in-line'].includes(this.#state.phase)) return;
    this.#release();
    this.#attempt = 0;
    this.#retry('network is back', this.#backoffMs(0));
  };

  /** A browser notices a dead network long before its sockets do. */
  readonly #offline = (): void => {
    if (this.#socket) this.#drop('offline');
  };
}

/** Whether a screen shows what is waited for. */
function isWaiting(
  state: ConnectionState,
): state is Extract<ConnectionState, { phase: 'in-line' | 'device-limit' }> {
  return state.phase === 'in-line' || state.phase === 'device-limit';
}
