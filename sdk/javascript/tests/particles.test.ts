// Emotes in flight: bounded, born and gone in time, inside the area.

import { expect, it } from 'vitest';
import { capacity, Particles, PARTICLES_MAX, type Pose } from '../src/layer/particles.js';
import { Tally } from '../src/layer/tally.js';

const area = { width: 400, height: 300 };

function poses(particles: Particles, nowMs: number): Pose[] {
  const drawn: Pose[] = [];
  particles.advance(nowMs, (_, pose) => drawn.push(pose));
  return drawn;
}

it('rises from the lower edge, fades and is forgotten', () => {
  const particles = new Particles(() => 0.5);
  particles.launch({ emote: '🔥', atMs: 100, ...area });
  expect(poses(particles, 50)).toEqual([]);
  const [early] = poses(particles, 200);
  const [late] = poses(particles, 3300);
  expect(early!.y).toBeGreaterThan(late!.y);
  expect(late!.alpha).toBeLessThan(0.1);
  expect(poses(particles, 5000)).toEqual([]);
  expect(particles.count).toBe(0);
});

it('stays within the sides', () => {
  const particles = new Particles(Math.random);
  for (let index = 0; index < 100; index += 1) particles.launch({ emote: '🔥', atMs: 0, ...area });
  for (let nowMs = 0; nowMs < 5000; nowMs += 50) {
    for (const { x, y } of poses(particles, nowMs)) {
      expect(x).toBeGreaterThan(-30);
      expect(x).toBeLessThan(430);
      expect(y).toBeGreaterThan(0);
    }
  }
});

it('refuses the crowd when the sky is full, but never the own tap', () => {
  const particles = new Particles(() => 0.5);
  const launch = (own: boolean) => particles.launch({ emote: '🔥', atMs: 0, ...area, own });
  for (let index = 0; index < capacity(400, 300); index += 1) expect(launch(false)).toBe(true);
  expect(launch(false)).toBe(false);
  expect(launch(true)).toBe(true);
  expect(particles.count).toBe(capacity(400, 300));
  expect(capacity(4000, 3000)).toBe(PARTICLES_MAX);
});

it('the calm tally changes at most once an interval', () => {
  const tally = new Tally();
  tally.add({ '🔥': 3 });
  expect(tally.turn(2000)).toBe(true);
  expect(tally.turn(3999)).toBe(false);
  expect(tally.turn(4000)).toBe(true);
});
