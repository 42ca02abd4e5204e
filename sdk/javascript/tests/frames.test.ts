// What is read from the wire, and what of it reaches listeners.

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { parseFrame } from '../src/frames.js';
import { EPOCH, openViewer, useFakeTime } from './fake-server.js';

beforeEach(useFakeTime);
afterEach(() => vi.useRealTimers());

const AT = '2026-11-20T20:00:00.000Z';

function moment(seq: number) {
  const window = { window_start: AT, window_ms: 2000 };
  const burst = { emote: '🔥', count: 120, strength: 2.4, reactors: 80, rule: 'plain' };
  return { type: 'moment', channel: 'main', epoch: EPOCH, seq, id: `m${seq}`, ...window, ...burst };
}

it.each([
  ['no JSON', '{'],
  ['no object', '7'],
  ['null', 'null'],
  ['no type', '{}'],
  ['a type of the future', '{"type":"confetti"}'],
  ['a name of every object', '{"type":"toString"}'],
  ['a missing field', '{"type":"ack"}'],
  ['a wrong type', '{"type":"gap","from":"1","to":2}'],
  ['a wrong time', '{"type":"pulse","seq":1,"start":"soon","counts":{}}'],
  ['wrong counts', `{"type":"pulse","seq":1,"start":"${AT}","counts":{"🔥":"3"}}`],
])('ignores %s', (_, data) => {
  expect(parseFrame(data)).toBeUndefined();
});

it('ignores binary data', () => {
  expect(parseFrame(new ArrayBuffer(4))).toBeUndefined();
});

it('delivers every kind of frame to its listeners', () => {
  const { newest, seen } = openViewer();
  const kinds = ['pulse', 'window', 'moment', 'settings', 'gap', 'bye', 'error'] as const;
  const values = kinds.map((kind) => seen(kind));
  newest().hello();
  const head = { channel: 'main', epoch: EPOCH, seq: 1001 };
  const counts = { '🔥': 3 };
  newest().receive({ type: 'pulse', ...head, start: AT, counts, shown: { '🔥': 2 } });
  const window = { window_start: AT, window_ms: 2000, total: 3, reactors: 2 };
  newest().receive({ type: 'window', ...head, ...window, counts, shown: counts });
  newest().receive(moment(1002));
  newest().receive({ type: 'settings', ...head, version: 2, rule: { kind: 'plain' } });
  newest().receive({ type: 'gap', from: 1, to: 2 });
  newest().receive({ type: 'bye', reason: 'shutting-down', reconnect_in_ms: 5 });
  newest().receive({ type: 'error', code: 'rate-limited', detail: 'slow down' });
  expect(values.map((list) => list.length)).toEqual([1, 1, 1, 1, 1, 1, 1]);
  expect(values[0]![0]).toMatchObject({ counts: { '🔥': 3 }, shown: { '🔥': 2 } });
});

it('delivers a moment once, also across a reconnection', () => {
  const { newest, seen } = openViewer();
  const moments = seen('moment');
  newest().hello();
  newest().receive(moment(1100));
  newest().receive(moment(1100));
  newest().receive(moment(1200));
  newest().lose(1006);
  vi.advanceTimersByTime(250);
  newest().hello({ seq: 1400 });
  for (const seq of [1100, 1200, 1300]) newest().receive(moment(seq));
  expect(moments.map(({ seq }) => seq)).toEqual([1100, 1200, 1300]);
});

it('delivers moments with small sequences of a new epoch', () => {
  const { newest, seen } = openViewer();
  const moments = seen('moment');
  newest().hello();
  newest().receive(moment(1100));
  newest().lose(1006);
  vi.advanceTimersByTime(250);
  newest().hello({ seq: 5, epoch: 'f'.repeat(32) });
  newest().receive(moment(6));
  expect(moments.map(({ seq }) => seq)).toEqual([1100, 6]);
});

it('a listener can leave, and one that throws stops no other', async () => {
  const { newest, viewer, seen } = openViewer();
  const uncaught = vi.fn();
  process.once('uncaughtException', uncaught);
  viewer.on('gap', () => {
    throw new Error('faulty listener');
  });
  const gone = vi.fn();
  viewer.on('gap', gone)();
  const gaps = seen('gap');
  newest().hello();
  newest().receive({ type: 'gap', from: 1, to: 2 });
  expect(gaps).toHaveLength(1);
  expect(gone).not.toHaveBeenCalled();
  await vi.waitFor(() => expect(uncaught).toHaveBeenCalledOnce());
});
