// The sums that the page shows: each window once, whatever order stream and archive bring it in.

import { expect, it } from 'vitest';
import { OwnEcho } from '../../src/own-echo.js';
import { WindowLedger, WINDOWS_KEPT } from '../../src/window-ledger.js';

const START_MS = Date.parse('2026-11-20T20:00:00.000Z');

function row(index: number, counts: Record<string, number> = { '🔥': 10 }) {
  const window_start = new Date(START_MS + index * 2000).toISOString();
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { seq: index, window_start, window_ms: 2000, counts, total, reactors: 1 };
}

it('keeps windows in order, each once', () => {
  const ledger = new WindowLedger();
  expect([3, 1, 2, 3, 1].map((index) => ledger.add(row(index)))).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(ledger.rows.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(ledger.newest?.seq).toBe(3);
});

it('is bounded and forgets the oldest', () => {
  const ledger = new WindowLedger();
  for (let index = 0; index <= WINDOWS_KEPT; index += 1) ledger.add(row(index));
  expect(ledger.rows).toHaveLength(WINDOWS_KEPT);
  expect(ledger.add(row(0))).toBe(false);
  expect(ledger.rows[0]?.seq).toBe(1);
});

it('sums what came since joining, filled holes included', () => {
  const ledger = new WindowLedger();
  ledger.join(START_MS + 4500);
  for (const index of [0, 1, 4, 2, 3, 4]) ledger.add(row(index));
  expect(ledger.joinedTotal).toBe(30);
  ledger.join(START_MS);
  ledger.add(row(-1));
  expect(ledger.joinedTotal).toBe(30);
});

it('names the leading emotes', () => {
  const ledger = new WindowLedger();
  ledger.add(row(0, { '🔥': 1, '👏': 5 }));
  ledger.add(row(1, { '🔥': 2, '🎉': 1 }));
  expect(ledger.leaders(2)).toEqual(['👏', '🔥']);
});

it('takes own taps out of the pulse that brings them back', () => {
  const echo = new OwnEcho();
  echo.tapped('🔥', 0);
  echo.tapped('👏', 0);
  echo.forget('👏');
  const counts = { '🔥': 1, '👏': 1 };
  expect(echo.others(counts, counts, 100)).toEqual({ '🔥': 0, '👏': 1 });
  expect(echo.others(counts, counts, 200)).toEqual(counts);
  echo.tapped('🔥', 300);
  expect(echo.others({ '🔥': 4 }, { '🔥': 9 }, 400)).toEqual({ '🔥': 4 });
  echo.tapped('🔥', 500);
  expect(echo.others(counts, counts, 60_000)).toEqual(counts);
});
