// The viewer client: a channel's live stream as typed events, and reactions that are counted exactly once.

import { Connection, type ConnectionEnvironment, type ConnectionState } from './connection.js';
import { Emitter } from './emitter.js';
import {
  parseFrame,
  type Bye,
  type ErrorFrame,
  type Gap,
  type Hello,
  type Moment,
  type Pulse,
  type ServerFrame,
  type Settings,
  type Window,
} from './frames.js';
import { Outbox } from './outbox.js';
import { Placement, type Place, type PlacementOptions } from './placement.js';
import { reactionId, type FillRandom } from './reaction-id.js';
import { ServerTime } from './server-time.js';

export interface ViewerOptions {
  channel: string;
  /** Address of the server, `http(s)` or `ws(s)`; in a browser, the page's own by default. */
  url?: string;
  /**
   * Asks the server for an edge that has room before each connection, and connects there. A guest goes to the server itself
   * while nobody answers; an account waits, since its devices are counted.
   */
  placement?: PlacementOptions | boolean;
  /** Sockets, clock, chance and network of another surrounding than a browser. */
  environment?: Partial<Environment>;
}

/** All that the client takes from outside. */
export interface Environment extends ConnectionEnvironment {
  now: () => number;
  fillRandom: FillRandom;
}

export interface ViewerEvents {
  state: ConnectionState;
  /** The edge that the coming connection goes to; only with `placement`. */
  placed: Place;
  /** `resumed`: the stream continues where it was lost; otherwise it starts anew. */
  hello: Hello & { resumed: boolean };
  pulse: Pulse;
  window: Window;
  moment: Moment;
  settings: Settings;
  gap: Gap;
  bye: Bye;
  /** A refusal that belongs to no reaction. */
  error: ErrorFrame;
}

/** What a reaction may carry beside its emote. */
export interface ReactOptions {
  /** Position of the player, in milliseconds. */
  mediaTimeMs?: number;
}

/** How often reactions are checked for age while nothing else happens. */
const EXPIRY_CHECK_MS = 1_000;

export class Viewer extends Emitter<ViewerEvents> {
  readonly channel: string;
  readonly serverTime: ServerTime;
  readonly #url: string;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #placement: Placement | undefined;
  #expiryTimer: ReturnType<typeof setInterval> | undefined;
  /** Where to resume: moments up to here have been delivered. */
  #position: { epoch: string; seq: number } | undefined;
  #newestMomentSeq = -1;

  constructor(options: ViewerOptions) {
    super();
    const environment = { ...browserEnvironment(), ...options.environment };
    this.channel = options.channel;
    this.#url = options.url ?? globalThis.location.origin;
    this.serverTime = new ServerTime(environment.now);
    this.#outbox = new Outbox({
      now: environment.now,
      newId: (unixMs) => reactionId(unixMs, environment.fillRandom),
      serverTime: this.serverTime,
    });
    const placement = placementOf(options);
    this.#placement =
      placement && new Placement(placement, this.#url, options.channel, environment.now);
    const asks = this.#placement;
    this.#connection = new Connection(environment, {
      url: (placed) => {
        if (placed) this.emit('placed', placed.place);
        return this.#streamUrl(placed?.place.url, placed?.ticket);
      },
      place: asks && (() => asks.ask()),
      mayGoDirectly: () => asks !== undefined && asks.isGuest && !asks.isInLine,
      isInLine: () => asks?.isInLine === true,
      onLost: () => asks?.lose(),
      onMessage: (data) => this.#receive(data),
      onState: (state) => this.#changeState(state),
    });
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Connects. Listeners added in the same turn of the event loop miss nothing but the state `connecting`. */
  open(): this {
    this.#expiryTimer = setInterval(() => this.#outbox.expire(), EXPIRY_CHECK_MS);
    this.#connection.open();
    return this;
  }

  /**
   * Sends a tap. Resolves with its id once it is durably in the server's log; rejects with a `ReactionError`
   * when the server refuses it, or after 100 s without an answer.
   */
  react(emote: string, options: ReactOptions = {}): Promise<string> {
    const acknowledged = this.#outbox.add(emote, options.mediaTimeMs);
    if (this.state.phase === 'ended') this.#outbox.close('the stream has ended');
    else this.#flush();
    return acknowledged;
  }

  /**
   * Ends another device of the account, and takes its place; in the state `device-limit`, with an id of its `devices`. If that one
   * has left meanwhile and another has come, the state is `device-limit` again. Only with `placement`.
   */
  endDevice(deviceId: string): void {
    this.#placement?.endNext(deviceId);
    this.#connection.retryNow();
  }

  /** Asks again without waiting, in the states `reconnecting`, `in-line` and `device-limit`. */
  retry(): void {
    this.#connection.retryNow();
  }

  /** Leaves for good; waiting reactions are rejected. */
  close(): void {
    this.#connection.close();
  }

  #streamUrl(edge: string = this.#url, ticket?: string): string {
    const url = new URL(`/v1/channels/${encodeURIComponent(this.channel)}/stream`, edge);
    url.protocol = url.protocol.replace('http', 'ws');
    if (this.#position) {
      url.searchParams.set('epoch', this.#position.epoch);
      url.searchParams.set('since', String(this.#position.seq));
    }
    if (ticket !== undefined) url.searchParams.set('ticket', ticket);
    return url.href;
  }

  #changeState(state: ConnectionState): void {
    if (state.phase === 'ended') {
      clearInterval(this.#expiryTimer);
      this.#outbox.close(state.reason || 'the stream has ended');
    }
    this.emit('state', state);
  }

  #receive(data: unknown): void {
    const frame = parseFrame(data);
    if (frame) this.#handle(frame);
  }

  #handle(frame: ServerFrame): void {
    switch (frame.type) {
      case 'hello':
        return this.#greet(frame);
      case 'pulse':
        return this.emit('pulse', frame);
      case 'window':
        this.#advance(frame.seq);
        return this.emit('window', frame);
      case 'moment':
        return this.#takeMoment(frame);
      case 'settings':
        this.#advance(frame.seq);
        return this.emit('settings', frame);
      case 'gap':
        return this.emit('gap', frame);
      case 'bye':
        if (frame.reconnect_in_ms !== undefined) this.#connection.returnIn(frame.reconnect_in_ms);
        return this.emit('bye', frame);
      case 'ack':
        return this.#outbox.acknowledge(frame.id);
      case 'error':
        return this.#refuse(frame);
    }
  }

  #greet(hello: Hello): void {
    this.serverTime.observe(hello.server_time);
    const resumed = this.#position?.epoch === hello.epoch;
    if (!resumed) {
      // A sequence means something only within its epoch.
      this.#position = { epoch: hello.epoch, seq: hello.seq };
      this.#newestMomentSeq = -1;
    }
    // A resumed position stays: the missed moments are still to come, and the line may break before they do.
    this.#connection.greeted();
    this.#placement?.entered();
    this.emit('hello', { ...hello, resumed });
    this.#flush(true);
  }

  #takeMoment(moment: Moment): void {
    if (moment.seq <= this.#newestMomentSeq) return;
    this.#newestMomentSeq = moment.seq;
    this.#advance(moment.seq);
    this.emit('moment', moment);
  }

  #refuse(frame: ErrorFrame): void {
    if (frame.server_time !== undefined) this.serverTime.observe(frame.server_time);
    if (frame.id === undefined) return this.emit('error', frame);
    const detail = frame.detail ?? frame.code;
    const again = this.#outbox.refuse(
      frame.id,
      frame.code,
      detail,
      frame.server_time !== undefined,
    );
    if (again) this.#flush();
  }

  #advance(seq: number): void {
    if (this.#position && seq > this.#position.seq) this.#position.seq = seq;
  }

  #flush(again = false): void {
    if (this.state.phase !== 'live') return;
    this.#outbox.flush((frame) => this.#connection.send(JSON.stringify(frame)), again);
  }
}

/** Opens a viewer of a channel. */
export function connect(options: ViewerOptions): Viewer {
  return new Viewer(options).open();
}

function placementOf({ placement }: ViewerOptions): PlacementOptions | undefined {
  return placement === true ? {} : placement || undefined;
}

function browserEnvironment(): Environment {
  return {
    openSocket: (url, subprotocol) => new WebSocket(url, subprotocol),
    random: Math.random,
    network: typeof globalThis.addEventListener === 'function' ? globalThis : undefined,
    now: Date.now,
    fillRandom: (bytes) => crypto.getRandomValues(bytes),
  };
}
