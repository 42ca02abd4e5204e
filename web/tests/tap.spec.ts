// A tap, seen: exactly one in the pulse, the window and the REST answer.

import { buttons, expect, openLive, test } from './page.js';

/** A window and its lateness: after this, no earlier test's tap can share a window with the next one. */
const WINDOW_OVER_MS = 2_600;

interface WindowRow {
  window_start: string;
  counts: Record<string, number>;
}

test('one tap is exactly 1 in the pulse, the window and the REST answer', async ({
  page,
  request,
}) => {
  await openLive(page);
  await page.waitForTimeout(WINDOW_OVER_MS);
  const button = buttons(page).first();
  const emote = (await button.getAttribute('data-emote'))!;
  const one = JSON.stringify({ [emote]: 1 });
  const window = page.getByTestId('window-counts');
  const before = (await window.getAttribute('data-window-start')) ?? '';
  const tappedMs = Date.now();
  await button.click();

  await expect(button).toHaveAttribute('data-outcome', 'counted');
  await expect(page.getByTestId('pulse-count')).toHaveAttribute('data-counts', one);
  await expect(window).not.toHaveAttribute('data-window-start', before);
  await expect(window).toHaveAttribute('data-counts', one);
  await expect(page.getByTestId('window-total')).toHaveText('1');

  const windowStart = await window.getAttribute('data-window-start');
  const from = new Date(tappedMs - 4_000).toISOString();
  const answer = await request.get(`/v1/channels/main/windows?limit=100&from=${from}`);
  expect(answer.ok()).toBe(true);
  const { items } = (await answer.json()) as { items: WindowRow[] };
  const rows = items.filter(({ window_start }) => window_start === windowStart);
  expect(rows.map(({ counts }) => counts)).toEqual([{ [emote]: 1 }]);
});

test('a digit key taps, held down it taps once', async ({ page }) => {
  await openLive(page);
  const second = buttons(page).nth(1);
  const emote = (await second.getAttribute('data-emote'))!;
  await page.keyboard.down('2');
  await page.keyboard.down('2');
  await page.keyboard.down('2');
  await page.keyboard.up('2');
  await expect(second).toHaveAttribute('data-outcome', 'counted');
  const one = JSON.stringify({ [emote]: 1 });
  await expect(page.getByTestId('pulse-count')).toHaveAttribute('data-counts', one);
});

test('buttons are reached and pressed by keyboard, with a focus to see', async ({ page }) => {
  await openLive(page);
  const third = buttons(page).nth(2);
  await buttons(page).nth(1).focus();
  await page.keyboard.press('Tab');
  await expect(third).toBeFocused();
  expect(await third.evaluate((element) => getComputedStyle(element).outlineStyle)).toBe('solid');
  await page.keyboard.press('Enter');
  await expect(third).toHaveAttribute('data-outcome', 'counted');
});
