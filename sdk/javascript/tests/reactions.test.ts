// Reactions: counted once, whatever the network does, or honestly rejected.

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ReactionError } from '../src/index.js';
import { reactionId, reactionIdTime } from '../src/reaction-id.js';
import { ServerTime } from '../src/server-time.js';
import { openViewer, outcome, START_MS, useFakeTime } from './fake-server.js';

beforeEach(useFakeTime);
afterEach(() => vi.useRealTimers());

const settle = () => vi.advanceTimersByTimeAsync(0);
const sentIds = (socket: { sent: Record<string, unknown>[] }) => socket.sent.map(({ id }) => id);

it('builds UUIDs of version 7', () => {
  const id = reactionId(0x0199_0000_1234, (bytes) => bytes.fill(0xff));
  expect(id).toBe('01990000-1234-7fff-bfff-ffffffffffff');
  expect(reactionIdTime(id)).toBe(0x0199_0000_1234);
});

it('smooths the offset of the server clock and follows a step', () => {
  const time = new ServerTime(() => 0);
  expect(time.known).toBe(false);
  time.observe(new Date(1000).toISOString());
  expect(time.now()).toBe(1000);
  time.observe(new Date(2000).toISOString());
  expect(time.now()).toBe(1300);
  time.observe(new Date(60_000).toISOString());
  expect(time.now()).toBe(60_000);
  time.observe('never');
  expect(time.now()).toBe(60_000);
});

it('makes ids in server time', () => {
  const { newest, viewer } = openViewer();
  newest().hello({ server_time: new Date(START_MS + 45_000).toISOString() });
  vi.advanceTimersByTime(1000);
  void viewer.react('🔥', { mediaTimeMs: 81_000 });
  const frame = newest().sent[0]!;
  expect(frame).toMatchObject({ type: 'react', emote: '🔥', media_time_ms: 81_000 });
  expect(reactionIdTime(frame['id'] as string)).toBe(START_MS + 46_000);
});

it('resolves by ack', async () => {
  const { newest, viewer } = openViewer();
  newest().hello();
  const ended = outcome(viewer.react('🔥'));
  await settle();
  expect(ended).toEqual({});
  const [id] = sentIds(newest());
  newest().receive({ type: 'ack', id });
  await settle();
  expect(ended).toEqual({ value: id });
});

it('rejects by error, typed', async () => {
  const { newest, viewer } = openViewer();
  newest().hello();
  const ended = outcome(viewer.react('💣'));
  const [id] = sentIds(newest());
  newest().receive({ type: 'error', id, code: 'emote-not-allowed', detail: 'not here' });
  await settle();
  expect(ended.error).toBeInstanceOf(ReactionError);
  expect(ended.error).toMatchObject({ code: 'emote-not-allowed', id, message: 'not here' });
});

it('sends what was tapped before the first greeting, with the time of the tap', () => {
  const { newest, viewer } = openViewer();
  void viewer.react('🔥');
  vi.advanceTimersByTime(3000);
  expect(newest().sent).toEqual([]);
  newest().hello({ server_time: new Date(START_MS + 63_000).toISOString() });
  expect(reactionIdTime(sentIds(newest())[0] as string)).toBe(START_MS + 60_000);
});

it('sends unanswered reactions again with the same ids, in order, and no others', () => {
  const { newest, viewer } = openViewer();
  newest().hello();
  for (const emote of ['🔥', '👏', '🎉']) void viewer.react(emote);
  const ids = sentIds(newest());
  expect(new Set(ids).size).toBe(3);
  newest().receive({ type: 'ack', id: ids[1] });
  newest().lose(1006);
  void viewer.react('😂');
  vi.advanceTimersByTime(250);
  newest().hello();
  expect(sentIds(newest()).slice(0, 2)).toEqual([ids[0], ids[2]]);
  expect(newest().sent.map(({ emote }) => emote)).toEqual(['🔥', '🎉', '😂']);
});

it('takes what a stopping server refused to the next connection, under its id', async () => {
  const { newest, sockets, viewer } = openViewer();
  newest().hello();
  const ended = outcome(viewer.react('🔥'));
  const [id] = sentIds(newest());
  newest().receive({ type: 'error', code: 'stopping', id, detail: 'the node stops' });
  newest().lose(4000, 'shutting-down');
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sockets).toHaveLength(2);
  newest().hello();
  expect(sentIds(newest())).toEqual([id]);
  newest().receive({ type: 'ack', id });
  await settle();
  expect(ended).toEqual({ value: id });
});

it('rejects what waited too long, and never sends it late', async () => {
  const { newest, viewer } = openViewer();
  newest().hello();
  const ended = outcome(viewer.react('🔥'));
  newest().receive({ type: 'bye', reason: 'shutting-down', reconnect_in_ms: 110_000 });
  newest().lose(4000);
  await vi.advanceTimersByTimeAsync(99_000);
  expect(ended).toEqual({});
  await vi.advanceTimersByTimeAsync(2_000);
  expect(ended.error).toMatchObject({ code: 'expired' });
  await vi.advanceTimersByTimeAsync(9_000);
  newest().hello();
  expect(newest().sent).toEqual([]);
});

it('bounds the queue', async () => {
  const { viewer, newest } = openViewer();
  const ended = Array.from({ length: 257 }, () => outcome(viewer.react('🔥')));
  await settle();
  expect(ended[255]).toEqual({});
  expect(ended[256]!.error).toMatchObject({ code: 'queue-full' });
  newest().hello();
  expect(newest().sent).toHaveLength(256);
});

it('rejects everything when the stream ends, and every later tap', async () => {
  const { newest, viewer } = openViewer();
  newest().hello();
  const before = outcome(viewer.react('🔥'));
  newest().lose(4506, 'guests-refused');
  const after = outcome(viewer.react('🔥'));
  await settle();
  expect(before.error).toMatchObject({ code: 'closed', message: 'guests-refused' });
  expect(after.error).toMatchObject({ code: 'closed' });
});

it('takes a new id once when the clock was wrong', async () => {
  const { newest, viewer } = openViewer();
  newest().hello();
  const ended = outcome(viewer.react('🔥'));
  const server_time = new Date(START_MS + 600_000).toISOString();
  const refuse = (id: unknown) =>
    newest().receive({ type: 'error', id, code: 'id-out-of-range', detail: 'old', server_time });
  refuse(sentIds(newest())[0]);
  const ids = sentIds(newest()) as string[];
  expect(ids).toHaveLength(2);
  expect(reactionIdTime(ids[1]!)).toBe(START_MS + 600_000);
  refuse(ids[1]);
  await settle();
  expect(ended.error).toMatchObject({ code: 'id-out-of-range' });
});

it('keeps the id of a reaction that was sent twice: the first may have been counted', async () => {
  const { newest, viewer } = openViewer();
  newest().hello();
  const ended = outcome(viewer.react('🔥'));
  newest().lose(1006);
  vi.advanceTimersByTime(250);
  newest().hello();
  const [id] = sentIds(newest());
  const server_time = new Date(START_MS + 600_000).toISOString();
  newest().receive({ type: 'error', id, code: 'id-out-of-range', server_time });
  await settle();
  expect(ended.error).toMatchObject({ code: 'id-out-of-range' });
  expect(newest().sent).toHaveLength(1);
});
