// Offsets as people type them, and the addresses of exports.

import { expect, it } from 'vitest';
import { exportAddress, parseOffset } from '../../src/api/moments.js';

it.each([
  ['', 0],
  ['90', 90_000],
  ['-12', -12_000],
  ['−12', -12_000],
  ['+0.5', 500],
  ['0,25', 250],
  ['1:30', 90_000],
  ['-1:30.5', -90_500],
  ['1:02:03', 3_723_000],
  ['x', undefined],
  ['1:', undefined],
  ['1:2:3:4', undefined],
  ['--1', undefined],
])('reads %j as %j ms', (text, ms) => expect(parseOffset(text)).toBe(ms));

it('names in an address only what was chosen', () => {
  const nothing = { fromMs: undefined, offsetMs: 0, recordingStartedAt: undefined, fps: '25' };
  expect(exportAddress('a b', 'csv', nothing)).toBe('/v1/channels/a%20b/moments/export?format=csv');
  const all = { ...nothing, fromMs: 0, offsetMs: -500, recordingStartedAt: '1970-01-01T00:00:01Z' };
  const query = new URL(exportAddress('main', 'edl', all), 'http://x').searchParams;
  expect(Object.fromEntries(query)).toEqual({
    format: 'edl',
    from: '1970-01-01T00:00:00.000Z',
    offset_ms: '-500',
    recording_started_at: '1970-01-01T00:00:01Z',
    fps: '25',
  });
});
