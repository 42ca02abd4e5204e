// When a viewer connects, comes back, and stays away.

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { backoffMs, orderedMs } from '../src/backoff.js';
import { EPOCH, openViewer, useFakeTime } from './fake-server.js';

beforeEach(useFakeTime);
afterEach(() => vi.useRealTimers());

it('speaks the subprotocol on the stream of its channel', () => {
  const { newest, viewer } = openViewer({ channel: 'match-1' });
  expect(newest().url.href).toBe('wss://example.org/v1/channels/match-1/stream');
  expect(newest().subprotocol).toBe('emostream.json.v1');
  expect(viewer.state.phase).toBe('connecting');
  newest().hello();
  expect(viewer.state.phase).toBe('live');
});

it('waits exponentially longer with full jitter, up to a cap', () => {
  expect(backoffMs(0, () => 1)).toBe(500);
  expect(backoffMs(3, () => 1)).toBe(4000);
  expect(backoffMs(3, () => 0.25)).toBe(1000);
  expect(backoffMs(3, () => 0)).toBe(0);
  expect(backoffMs(1000, () => 1)).toBe(20_000);
  expect(orderedMs(3_600_000)).toBe(120_000);
  expect(orderedMs(-5)).toBe(0);
});

it.each([1000, 1001, 1006, 1011, 4000, 4499, 5000])('comes back after close code %i', (code) => {
  const { sockets, newest, viewer } = openViewer();
  newest().hello();
  newest().lose(code, 'why');
  expect(viewer.state).toEqual({
    phase: 'reconnecting',
    attempt: 1,
    retryInMs: 250,
    reason: 'why',
  });
  vi.advanceTimersByTime(249);
  expect(sockets).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(sockets).toHaveLength(2);
});

it.each([4500, 4506, 4999])('stays away after close code %i', (code) => {
  const { sockets, newest, viewer } = openViewer();
  newest().lose(code, 'unknown-channel');
  expect(viewer.state).toEqual({ phase: 'ended', code, reason: 'unknown-channel' });
  vi.advanceTimersByTime(600_000);
  expect(sockets).toHaveLength(1);
});

it('returns when bye says so, once', () => {
  const { sockets, newest, viewer } = openViewer();
  newest().hello();
  newest().receive({ type: 'bye', reason: 'shutting-down', reconnect_in_ms: 7300 });
  newest().lose(4000);
  vi.advanceTimersByTime(7299);
  expect(sockets).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(sockets).toHaveLength(2);
  newest().lose(1006);
  expect(viewer.state).toMatchObject({ retryInMs: 500 });
});

it('starts the backoff afresh only after a connection that lasted', () => {
  const { newest, viewer } = openViewer();
  for (const retryInMs of [250, 500, 1000]) {
    newest().hello();
    newest().lose(1006);
    expect(viewer.state).toMatchObject({ retryInMs });
    vi.advanceTimersByTime(retryInMs);
  }
  newest().hello();
  vi.advanceTimersByTime(10_000);
  newest().lose(1006);
  expect(viewer.state).toMatchObject({ retryInMs: 250, attempt: 1 });
});

it('gives up a connection that never greets', () => {
  const { sockets, viewer } = openViewer();
  vi.advanceTimersByTime(10_000);
  expect(sockets[0]!.closedWith).toBe(1000);
  expect(viewer.state).toMatchObject({ phase: 'reconnecting', reason: 'no greeting' });
});

it('notices the network going and coming', () => {
  const { sockets, newest, network, viewer } = openViewer();
  newest().hello();
  network.dispatchEvent(new Event('offline'));
  expect(viewer.state).toMatchObject({ phase: 'reconnecting', reason: 'offline' });
  vi.advanceTimersByTime(250);
  newest().lose(1006);
  network.dispatchEvent(new Event('online'));
  vi.advanceTimersByTime(250);
  expect(sockets).toHaveLength(3);
  newest().hello();
  expect(viewer.state.phase).toBe('live');
});

it('resumes after what it has seen, not after what hello announced', () => {
  const { newest } = openViewer();
  newest().hello({ seq: 1000 });
  newest().receive(window(2000));
  newest().lose(1006);
  vi.advanceTimersByTime(250);
  expect(newest().url.search).toBe(`?epoch=${EPOCH}&since=2000`);
  newest().hello({ seq: 9000 });
  newest().lose(1006);
  vi.advanceTimersByTime(500);
  expect(newest().url.search).toBe(`?epoch=${EPOCH}&since=2000`);
});

it('starts anew in another epoch', () => {
  const { newest, seen } = openViewer();
  const hellos = seen('hello');
  newest().hello({ seq: 5000 });
  newest().lose(1006);
  vi.advanceTimersByTime(250);
  newest().hello({ seq: 10, epoch: 'f'.repeat(32) });
  newest().lose(1006);
  vi.advanceTimersByTime(500);
  expect(newest().url.search).toBe(`?epoch=${'f'.repeat(32)}&since=10`);
  newest().hello({ seq: 10, epoch: 'f'.repeat(32) });
  expect(hellos.map(({ resumed }) => resumed)).toEqual([false, false, true]);
});

it('close ends it without a word from the server', () => {
  const { sockets, viewer, newest } = openViewer();
  newest().hello();
  viewer.close();
  viewer.close();
  expect(newest().closedWith).toBe(1000);
  expect(viewer.state.phase).toBe('ended');
  vi.advanceTimersByTime(600_000);
  expect(sockets).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

function window(seq: number) {
  const window_start = new Date(Date.now()).toISOString();
  return { type: 'window', seq, window_start, window_ms: 2000, counts: {}, total: 0, reactors: 0 };
}
