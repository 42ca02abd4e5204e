// How a viewer is sent to an edge, waits for one, and comes back through another.

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Device, PlacementOptions } from '../src/index.js';
import { EPOCH, openViewer, useFakeTime } from './fake-server.js';

beforeEach(useFakeTime);
afterEach(() => vi.useRealTimers());

interface Asked {
  url: string;
  authorization: string | null;
  body: Record<string, unknown>;
}

type Answer = { status: number; body?: object; retryAfter?: string } | 'nothing';

const PLACED = {
  status: 200,
  body: { cluster: 'north', edge: 'north-1', url: 'http://north.example:3005', ticket: 'T1' },
};

function problem(status: number, name: string, more: object = {}, retryAfter?: string): Answer {
  const body = { type: `/errors/${name}`, status, detail: 'why', ...more };
  return { status, body, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

/** A server that answers in this order; the last answer stays. */
function placing(answers: Answer[], options: PlacementOptions = {}) {
  const asked: Asked[] = [];
  const fetch = async (url: unknown, init?: RequestInit): Promise<Response> => {
    const headers = new Headers(init?.headers);
    const body = JSON.parse(String(init?.body)) as Record<string, unknown>;
    asked.push({ url: String(url), authorization: headers.get('authorization'), body });
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
    if (answer === 'nothing') throw new TypeError('no answer');
    const { status, retryAfter } = answer;
    return new Response(JSON.stringify(answer.body ?? {}), {
      status,
      headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter },
    });
  };
  return { asked, placement: { ...options, fetch: fetch as typeof globalThis.fetch } };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

/** Lets time pass until it is so, ten minutes at most. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo() && turn < 1_200; turn += 1) await vi.advanceTimersByTimeAsync(500);
  expect(isSo()).toBe(true);
}

const DEVICE: Device = {
  device_id: 'tab-1',
  name: 'Firefox on Linux',
  since: '2026-11-20T19:00:00.000Z',
  cluster: 'north',
  edge: 'north-1',
  connected: true,
};

it('connects to the edge that it was sent to, with the ticket', async () => {
  const { asked, placement } = placing([PLACED], {
    token: () => 'secret',
    deviceId: 'tab-2',
    deviceName: 'Chromium on Linux',
  });
  const { sockets, newest, viewer, seen } = openViewer({ placement });
  const placed = seen('placed');
  expect(viewer.state.phase).toBe('connecting');
  expect(sockets).toHaveLength(0);
  await settle();
  const url = 'ws://north.example:3005/v1/channels/main/stream?ticket=T1';
  expect(newest().url.href).toBe(url);
  expect(placed).toEqual([{ cluster: 'north', edge: 'north-1', url: 'http://north.example:3005' }]);
  expect(asked).toEqual([
    {
      url: 'https://example.org/v1/placements',
      authorization: 'Bearer secret',
      body: { channel: 'main', device_id: 'tab-2', device_name: 'Chromium on Linux' },
    },
  ]);
  newest().hello();
  expect(viewer.state.phase).toBe('live');
});

it('comes back through placement, with a new ticket, and resumes where it was', async () => {
  const second = { cluster: 'south', edge: 'south-1', url: '', ticket: 'T2' };
  const { asked, placement } = placing([PLACED, { status: 200, body: second }]);
  const { newest, sockets, seen } = openViewer({ placement });
  const hellos = seen('hello');
  await settle();
  newest().hello({ seq: 1000 });
  newest().receive({ type: 'bye', reason: 'draining', reconnect_in_ms: 3_000 });
  newest().lose(4005, 'draining');
  await vi.advanceTimersByTimeAsync(2_999);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(sockets).toHaveLength(2);
  // Without an address it is the server that was asked.
  const url = `wss://example.org/v1/channels/main/stream?epoch=${EPOCH}&since=1000&ticket=T2`;
  expect(newest().url.href).toBe(url);
  newest().hello({ seq: 1000 });
  expect(hellos.at(-1)?.resumed).toBe(true);
});

it('says which edge it has lost without a good-bye, until it has another', async () => {
  const second = { cluster: 'south', edge: 'south-1', url: '', ticket: 'T2' };
  const { asked, placement } = placing([
    PLACED,
    problem(503, 'overloaded'),
    { status: 200, body: second },
  ]);
  const { newest, sockets } = openViewer({ placement });
  const lost = () => asked.map(({ body }) => body['lost_edge']);
  await settle();
  newest().hello();
  newest().lose(1006);
  await until(() => sockets.length === 2);
  expect(lost()).toEqual([undefined, 'north-1', 'north-1']);
  // It does not greet.
  await until(() => sockets.length === 3);
  expect(lost().at(-1)).toBe('south-1');
  newest().hello();
  newest().lose(4005, 'draining');
  await until(() => sockets.length === 4);
  expect(lost().at(-1)).toBeUndefined();
});

it('waits in line, keeps its place, and is let in without a word', async () => {
  const inLine = (place: number) =>
    problem(503, 'no-room', { line: { token: `L${place}`, place, waiting: 40 } }, '2');
  const { asked, placement } = placing([inLine(12), inLine(3), PLACED]);
  const { sockets, viewer, seen } = openViewer({ placement });
  const states = seen('state');
  await settle();
  expect(viewer.state).toEqual({ phase: 'in-line', place: 12, waiting: 40, retryInMs: 2_000 });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(viewer.state).toMatchObject({ phase: 'in-line', place: 3 });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(asked.map(({ body }) => body['line'])).toEqual([undefined, 'L12', 'L3']);
  expect(sockets).toHaveLength(1);
  const phases = states.map(({ phase }) => phase);
  expect(phases).toEqual(['in-line', 'in-line', 'connecting']);
});

it('asks often enough to keep its place in line, and not more', async () => {
  const line = { token: 'L', place: 1, waiting: 1 };
  const { asked, placement } = placing([
    problem(503, 'no-room', { line }, '3600'),
    problem(503, 'no-room', { line }, '0'),
  ]);
  openViewer({ placement });
  await settle();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(499);
  expect(asked).toHaveLength(2);
});

it('names the devices in the way, and takes the place of the one that is ended', async () => {
  const limit = problem(409, 'device-limit', { devices: [DEVICE] });
  const { asked, placement } = placing([limit, PLACED], { token: () => 't', deviceId: 'tab-2' });
  const { sockets, viewer, newest } = openViewer({ placement });
  await settle();
  expect(viewer.state).toEqual({ phase: 'device-limit', devices: [DEVICE] });
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toHaveLength(1);
  viewer.endDevice('tab-1');
  await settle();
  expect(asked[1]!.body['end_device_id']).toBe('tab-1');
  expect(sockets).toHaveLength(1);
  newest().hello();
  newest().lose(1006);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(asked[2]!.body['end_device_id']).toBeUndefined();
});

it('a device that has gone meanwhile is named no second time', async () => {
  const limit = problem(409, 'device-limit', { devices: [DEVICE] });
  const other = { ...DEVICE, device_id: 'tab-3' };
  const stillFull = problem(409, 'device-limit', { devices: [other] });
  const { asked, placement } = placing([limit, stillFull, PLACED], { token: () => 't' });
  const { viewer } = openViewer({ placement });
  await settle();
  viewer.endDevice('tab-1');
  await settle();
  expect(viewer.state).toEqual({ phase: 'device-limit', devices: [other] });
  viewer.retry();
  await settle();
  expect(asked.map(({ body }) => body['end_device_id'])).toEqual([undefined, 'tab-1', undefined]);
});

it('ends a device only once there is room, and remembers that in line', async () => {
  const limit = problem(409, 'device-limit', { devices: [DEVICE] });
  const line = { token: 'L', place: 1, waiting: 1 };
  const { asked, placement } = placing([limit, problem(503, 'no-room', { line }, '2'), PLACED], {
    token: () => 't',
    deviceId: 'tab-2',
  });
  const { viewer, sockets } = openViewer({ placement });
  await settle();
  viewer.endDevice('tab-1');
  await settle();
  expect(viewer.state).toMatchObject({ phase: 'in-line', place: 1 });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sockets).toHaveLength(1);
  expect(asked.map(({ body }) => body['end_device_id'])).toEqual([undefined, 'tab-1', 'tab-1']);
});

it('without an id of its own it keeps the one that the server gave, and is one device', async () => {
  const body = { ...PLACED.body, device_id: 'from-the-server' };
  const { asked, placement } = placing([{ status: 200, body }], { token: () => 't' });
  const { newest } = openViewer({ placement });
  await settle();
  newest().hello();
  newest().lose(1006);
  await vi.advanceTimersByTimeAsync(250);
  expect(asked.map(({ body }) => body['device_id'])).toEqual([undefined, 'from-the-server']);
});

it('asks at once when it is told to, and only then while devices are in the way', async () => {
  const limit = problem(409, 'device-limit', { devices: [DEVICE] });
  const unavailable = problem(503, 'overloaded', {}, '60');
  const { asked, placement } = placing([unavailable, limit, PLACED], { token: () => 't' });
  const { viewer, sockets, newest } = openViewer({ placement });
  await settle();
  expect(viewer.state.phase).toBe('reconnecting');
  viewer.retry();
  await settle();
  expect(viewer.state.phase).toBe('device-limit');
  viewer.retry();
  await settle();
  newest().hello();
  // Where nothing waits, there is nothing to ask.
  viewer.retry();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toHaveLength(3);
  expect(sockets).toHaveLength(1);
});

it('gives up an answer that does not come', async () => {
  const signals: AbortSignal[] = [];
  const fetch = (_url: unknown, init?: RequestInit) =>
    new Promise<Response>((_, reject) => {
      signals.push(init!.signal!);
      init!.signal!.addEventListener('abort', () => reject(init!.signal!.reason));
    });
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException('too late', 'TimeoutError')), ms);
    return controller.signal;
  });
  const placement = { token: () => 't', fetch: fetch as typeof globalThis.fetch };
  const { viewer } = openViewer({ placement });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(viewer.state.phase).toBe('connecting');
  await vi.advanceTimersByTimeAsync(1);
  expect(viewer.state).toMatchObject({ phase: 'reconnecting', reason: 'no answer' });
  expect(signals).toHaveLength(1);
  timeout.mockRestore();
});

it('waits as long as a date says, too', async () => {
  const until = new Date(Date.now() + 7_000).toUTCString();
  const { placement } = placing([problem(503, 'overloaded', {}, until)], { token: () => 't' });
  const { viewer } = openViewer({ placement });
  await settle();
  expect(viewer.state).toMatchObject({ phase: 'reconnecting', retryInMs: 7_250 });
});

it.each([
  [403, 'guests-refused'],
  [404, 'channel-not-found'],
  [400, 'field-invalid'],
])('stays away where placement says so for good: %i %s', async (code, reason) => {
  const { asked, placement } = placing([problem(code, reason)]);
  const { viewer, sockets } = openViewer({ placement });
  await settle();
  expect(viewer.state).toEqual({ phase: 'ended', code, reason });
  await vi.advanceTimersByTimeAsync(600_000);
  expect([asked.length, sockets.length]).toEqual([1, 0]);
});

it('an answer in words of a proxy is no answer of the server', async () => {
  const page = async () => new Response('<html>bad gateway</html>', { status: 502 });
  const placement = { token: () => 't', fetch: page as typeof globalThis.fetch };
  const { viewer } = openViewer({ placement });
  await settle();
  expect(viewer.state.phase).toBe('reconnecting');
});

it.each([4504, 4505, 4506, 4507])('stays away when it was sent away: %i', async (code) => {
  const { asked, placement } = placing([PLACED]);
  const { newest, viewer } = openViewer({ placement });
  await settle();
  newest().hello();
  newest().lose(code, 'a-reason');
  expect(viewer.state).toEqual({ phase: 'ended', code, reason: 'a-reason' });
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toHaveLength(1);
});

it('ends when the login or the channel is refused', async () => {
  const { placement } = placing([problem(401, 'token-expired')], { token: () => 'old' });
  const { viewer, sockets } = openViewer({ placement });
  await settle();
  expect(viewer.state).toEqual({ phase: 'ended', code: 401, reason: 'token-expired' });
  expect(sockets).toHaveLength(0);
});

it('an account comes back with jitter when nobody answers, not before it was told', async () => {
  const unavailable = problem(503, 'store-unavailable', {}, '2');
  const { asked, placement } = placing([unavailable, 'nothing', PLACED], { token: () => 't' });
  const { sockets, viewer } = openViewer({ placement });
  await settle();
  const told = { phase: 'reconnecting', retryInMs: 2_250, reason: 'store-unavailable' };
  expect(viewer.state).toMatchObject(told);
  await vi.advanceTimersByTimeAsync(2_250);
  expect(viewer.state).toMatchObject({
    phase: 'reconnecting',
    retryInMs: 500,
    reason: 'no answer',
  });
  await vi.advanceTimersByTimeAsync(500);
  expect(asked).toHaveLength(3);
  expect(sockets).toHaveLength(1);
});

it('a guest goes to the server itself when nobody says where to', async () => {
  const { placement } = placing(['nothing']);
  const { newest } = openViewer({ placement });
  await settle();
  expect(newest().url.href).toBe('wss://example.org/v1/channels/main/stream');
});

it('a guest survives a restart of control where nobody is let in without a ticket', async () => {
  const { asked, placement } = placing([PLACED, 'nothing', 'nothing', 'nothing', PLACED]);
  const { sockets, newest, viewer, seen } = openViewer({ placement });
  const states = seen('state');
  await settle();
  newest().hello({ seq: 1000 });
  // Its edge stops, and so does control.
  newest().lose(4000, 'shutting-down');
  await until(() => sockets.length === 2);
  expect(newest().url.searchParams.has('ticket')).toBe(false);
  newest().lose(4007, 'ticket-refused');
  await until(() => sockets.length > 2);
  expect(asked).toHaveLength(5);
  // The server itself was tried once.
  expect(sockets).toHaveLength(3);
  expect(newest().url.searchParams.get('ticket')).toBe('T1');
  newest().hello({ seq: 1000 });
  expect(viewer.state.phase).toBe('live');
  expect(states.map(({ phase }) => phase)).not.toContain('ended');
});

it('a guest goes directly again after a ticket of placement was refused', async () => {
  const { placement } = placing([PLACED, 'nothing']);
  const { newest, sockets } = openViewer({ placement });
  await settle();
  newest().lose(4007, 'ticket-refused');
  await until(() => sockets.length === 2);
  expect(newest().url.searchParams.has('ticket')).toBe(false);
});

it('a guest who is asked to wait does not go round by another way', async () => {
  const line = { token: 'L', place: 2, waiting: 2 };
  const { asked, placement } = placing([
    problem(429, 'rate-limited', {}, '1'),
    problem(503, 'no-room', { line }, '1'),
    'nothing',
    problem(503, 'no-room', {}, '10'),
    PLACED,
  ]);
  const { sockets, viewer } = openViewer({ placement });
  await settle();
  expect(viewer.state).toMatchObject({ phase: 'reconnecting', reason: 'rate-limited' });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked.length).toBeGreaterThanOrEqual(4);
  expect(asked.at(-1)!.body['line']).toBe('L');
  expect(sockets).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(sockets).toHaveLength(1);
});

it('keeps its place in line until an edge has let it in', async () => {
  const line = { token: 'L', place: 1, waiting: 9 };
  const noRoom = problem(503, 'no-room', { line }, '1');
  const portal: Answer = { status: 200, body: { login: 'to this network' } };
  const { asked, placement } = placing([noRoom, portal, PLACED, PLACED, PLACED]);
  const { sockets, newest } = openViewer({ placement });
  await until(() => sockets.length === 1);
  newest().lose(4002, 'full');
  await until(() => sockets.length === 2);
  newest().hello();
  newest().lose(1006);
  await until(() => sockets.length === 3);
  const lines = asked.map(({ body }) => body['line']);
  expect(lines).toEqual([undefined, 'L', 'L', 'L', undefined]);
});

it('loses no place in line by being silent while nobody answers', async () => {
  const line = { token: 'L', place: 7, waiting: 9 };
  const { asked, placement } = placing([problem(503, 'no-room', { line }, '1'), 'nothing']);
  const { chance, viewer, seen } = openViewer({ placement });
  chance.next = 1;
  const states = seen('state');
  await settle();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBeGreaterThanOrEqual(12);
  // Nor does its screen vanish.
  expect(new Set(states.map(({ phase }) => phase))).toEqual(new Set(['in-line']));
  expect(viewer.state).toEqual({ phase: 'in-line', place: 7, waiting: 9, retryInMs: 5_000 });
});

it('does not keep the pace of a farewell when it meets nobody', async () => {
  const { asked, placement } = placing([PLACED, 'nothing'], { token: () => 't' });
  const { newest } = openViewer({ placement });
  await settle();
  newest().hello();
  newest().receive({ type: 'bye', reason: 'shutting-down', reconnect_in_ms: 10 });
  newest().lose(4000, 'shutting-down');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBeLessThan(15);
});

it.each([403, 404])('words of a proxy do not end it: %i', async (status) => {
  const { placement } = placing([{ status, body: { error: 'no backend' } }, PLACED], {
    token: () => 't',
  });
  const { sockets, viewer } = openViewer({ placement });
  await settle();
  expect(viewer.state).toMatchObject({ phase: 'reconnecting', reason: `status ${status}` });
  await until(() => sockets.length === 1);
});

it('asks again by itself where a device in the way may be gone', async () => {
  const limit = problem(409, 'device-limit', { devices: [{ ...DEVICE, connected: false }] }, '4');
  const { asked, placement } = placing([limit, 'nothing', PLACED], { token: () => 't' });
  const { sockets, viewer, seen } = openViewer({ placement });
  const states = seen('state');
  await settle();
  expect(viewer.state).toMatchObject({ phase: 'device-limit', retryInMs: 4_000 });
  await vi.advanceTimersByTimeAsync(3_999);
  expect(asked).toHaveLength(1);
  await until(() => sockets.length === 1);
  expect(new Set(states.map(({ phase }) => phase))).toEqual(
    new Set(['device-limit', 'connecting']),
  );
});

it('an answer that comes after the end opens nothing', async () => {
  const { placement } = placing([PLACED]);
  const { sockets, viewer } = openViewer({ placement });
  viewer.close();
  await settle();
  expect(sockets).toHaveLength(0);
  expect(viewer.state.phase).toBe('ended');
});
