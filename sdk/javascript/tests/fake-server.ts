// The other end of a viewer's connection under test control: sockets, frames, clock and chance.

import { vi } from 'vitest';
import { Viewer, type Socket, type ViewerEvents, type ViewerOptions } from '../src/index.js';

export const START_MS = Date.parse('2026-11-20T20:00:00.000Z');
export const EPOCH = 'e'.repeat(32);

export class FakeSocket implements Socket {
  readyState = 1;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  readonly sent: Record<string, unknown>[] = [];
  closedWith: number | undefined;

  constructor(
    readonly url: URL,
    readonly subprotocol: string,
  ) {}

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  close(code?: number): void {
    this.readyState = 3;
    this.closedWith = code;
  }

  /** A frame from the server. */
  receive(frame: object | string): void {
    const data = typeof frame === 'string' ? frame : JSON.stringify(frame);
    this.onmessage?.call(null as never, { data } as MessageEvent);
  }

  /** The server, or the network, closes. */
  lose(code: number, reason = ''): void {
    this.readyState = 3;
    this.onclose?.call(null as never, { code, reason } as CloseEvent);
  }

  hello(fields: object = {}): void {
    this.receive({
      type: 'hello',
      channel: 'main',
      epoch: EPOCH,
      seq: 1000,
      server_time: new Date(Date.now()).toISOString(),
      pulse_ms: 100,
      window_ms: 2000,
      palette: ['🔥', '👏'],
      palette_version: 1,
      ...fields,
    });
  }
}

/** A viewer with fake sockets; call after `vi.useFakeTimers`. */
export function openViewer(options: Partial<ViewerOptions> = {}) {
  const sockets: FakeSocket[] = [];
  const network = new EventTarget();
  const chance = { next: 0.5, draws: 0 };
  const viewer = new Viewer({
    channel: 'main',
    url: 'https://example.org',
    ...options,
    environment: {
      openSocket: (url, subprotocol) => {
        const socket = new FakeSocket(new URL(url), subprotocol);
        sockets.push(socket);
        return socket;
      },
      random: () => chance.next,
      network,
      now: () => Date.now(),
      fillRandom: (bytes) => {
        chance.draws += 1;
        return bytes.fill(chance.draws % 256);
      },
    },
  });
  const newest = () => sockets.at(-1)!;
  const seen = <Name extends keyof ViewerEvents>(name: Name): ViewerEvents[Name][] => {
    const values: ViewerEvents[Name][] = [];
    viewer.on(name, (value) => values.push(value));
    return values;
  };
  return { viewer: viewer.open(), sockets, newest, network, chance, seen };
}

/** How a promise ended, once it has. */
export function outcome(promise: Promise<string>): { value?: string; error?: { code: string } } {
  const ended: { value?: string; error?: { code: string } } = {};
  promise.then(
    (value) => (ended.value = value),
    (error) => (ended.error = error),
  );
  return ended;
}

export function useFakeTime(): void {
  vi.useFakeTimers({ now: START_MS });
}
