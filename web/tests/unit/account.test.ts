// The rule for passwords as the server has it, and since when a device is there.

import { expect, it } from 'vitest';
import { wrongPassword } from '../../src/app/password-rule.js';
import { sinceWords } from '../../src/since.js';

it.each([
  ['', 'nothing'],
  ['seven77', 'Use at least 8 characters; there are 7.'],
  // As the server counts: an emoji is one character, not two.
  ['🐴🐴🐴🐴', 'Use at least 8 characters; there are 4.'],
  ['eight888', undefined],
  ['🐴'.repeat(128), undefined],
  ['x'.repeat(129), 'Use at most 128 characters; there are 129.'],
])('judges the password %j', (password, wrong) => {
  expect(wrongPassword(password, 'nothing')).toBe(wrong);
});

it('tells today by the clock, earlier by the day, and nonsense not at all', () => {
  const now = new Date(2026, 10, 21, 18, 30);
  expect(sinceWords(new Date(2026, 10, 21, 7, 5).toISOString(), now)).toBe('07:05');
  expect(sinceWords(new Date(2026, 10, 20, 23, 59).toISOString(), now)).toBe('20 November, 23:59');
  expect(sinceWords('soon', now)).toBe('');
});
