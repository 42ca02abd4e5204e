// Editing settings: what counts as a change, and merging with another's without losing either.

import { expect, it } from 'vitest';
import type { Settings } from '../../src/api/documents.js';
import {
  changes,
  check,
  compare,
  draftOf,
  fieldOfProblem,
  inputOf,
  merged,
} from '../../src/app/settings/draft.js';

const NUMBERS = {
  floor: 10,
  significance: 8,
  factor: 2,
  reactors: 5,
  together_ms: 15_000,
  fast_ms: 10_000,
  slow_ms: 200_000,
  cooldown_ms: 60_000,
};

const SETTINGS: Settings = {
  version: 7,
  updated_at: '2026-11-20T20:00:00.000Z',
  updated_by: 'admin',
  rule: { kind: 'full', preset: 'normal', ...NUMBERS },
  plain: { threshold: 0.5, interval: 100 },
  allowed_emotes: ['🔥', '👏'],
  palette: { featured: ['🔥', '👏', ':goal:'], accepted_emotes: null, custom_emotes: [':goal:'] },
};

const BASE = draftOf(SETTINGS);

it('sends back what it read, without what only the server sets', () => {
  expect(inputOf(BASE)).toEqual({
    rule: SETTINGS.rule,
    plain: SETTINGS.plain,
    allowed_emotes: ['🔥', '👏'],
    palette: { featured: ['🔥', '👏', ':goal:'], accepted_emotes: null },
  });
  const plain = draftOf({ ...SETTINGS, rule: { kind: 'plain', threshold: 0.5, interval: 100 } });
  expect(inputOf({ ...plain, threshold: 12 })).toMatchObject({
    rule: { kind: 'plain', threshold: 12, interval: 100 },
    plain: { threshold: 12, interval: 100 },
  });
});

it('names the fields that differ; the order matters for buttons alone', () => {
  expect(changes(BASE, { ...BASE })).toEqual([]);
  expect(changes(BASE, { ...BASE, allowed: ['👏', '🔥'] })).toEqual([]);
  expect(changes(BASE, { ...BASE, featured: ['👏', '🔥', ':goal:'] })).toEqual(['featured']);
  expect(changes(BASE, { ...BASE, full: { preset: 'hard' }, allowed: null })).toEqual([
    'full',
    'allowed',
  ]);
});

it('tells conflicts from what only one of two changed', () => {
  const mine = { ...BASE, threshold: 12, allowed: ['🔥'] };
  const theirs = { ...BASE, threshold: 12, allowed: ['👏'], interval: 50 };
  expect(compare(BASE, mine, theirs)).toEqual({
    conflicts: ['allowed'],
    theirs: ['interval'],
    mine: [],
  });
  expect(compare(BASE, mine, BASE)).toEqual({
    conflicts: [],
    theirs: [],
    mine: ['threshold', 'allowed'],
  });
});

it('leaves the full rule alone where somebody chose the plain one', () => {
  const mine = { ...BASE, full: { preset: 'hard' as const } };
  const theirs = { ...BASE, kind: 'plain' as const, full: { preset: 'normal' as const } };
  expect(compare(BASE, mine, theirs)).toEqual({ conflicts: [], theirs: ['kind'], mine: ['full'] });
});

it('takes field by field what was chosen', () => {
  const mine = { ...BASE, threshold: 12, allowed: ['🔥'] };
  const theirs = { ...BASE, threshold: 3, allowed: ['👏'], interval: 50 };
  const draft = merged(mine, theirs, { threshold: 'mine', allowed: 'theirs', interval: 'theirs' });
  expect(draft).toEqual({ ...BASE, threshold: 12, allowed: ['👏'], interval: 50 });
});

it('finds the place of a problem', () => {
  expect(fieldOfProblem('rule.threshold')).toBe('plain.threshold');
  expect(fieldOfProblem('plain.interval')).toBe('plain.interval');
  expect(fieldOfProblem('rule.cooldown_ms')).toBe('rule.cooldown_ms');
  expect(fieldOfProblem('allowed_emotes[2]')).toBe('allowed_emotes');
  expect(fieldOfProblem('palette.featured')).toBe('palette.featured');
  expect(fieldOfProblem('nonsense')).toBeUndefined();
  expect(fieldOfProblem(undefined)).toBeUndefined();
});

it('sees by itself what cannot be sent', () => {
  expect(check(BASE)).toBeUndefined();
  expect(check({ ...BASE, threshold: Number.NaN })).toEqual({ field: 'plain.threshold' });
  expect(check({ ...BASE, interval: 0.5 })).toEqual({ field: 'plain.interval' });
  expect(check({ ...BASE, featured: [] })).toEqual({ field: 'palette.featured' });
});
