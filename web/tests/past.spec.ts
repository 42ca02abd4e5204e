// A rule tried on the recorded past, through the page, before it is saved.

import type { APIRequestContext } from '@playwright/test';
import { logIn, resetSettings, tokenOf } from './account.js';
import { expect, test } from './page.js';

const EMOTE = '🚀';

async function windowsOf(request: APIRequestContext, from: string): Promise<number> {
  const answer = await request.get(`/v1/channels/main/windows?${new URLSearchParams({ from })}`);
  const { items } = (await answer.json()) as { items: { counts: Record<string, number> }[] };
  return items.filter(({ counts }) => (counts[EMOTE] ?? 0) >= 6).length;
}

test('a rule that was not saved shows what it would have found', async ({ page, request }) => {
  // Only this spec's own emote counts; the saved rule asks for more than anybody sends.
  const plain = { kind: 'plain', threshold: 1_000_000, interval: 100 };
  await resetSettings(request, { rule: plain, allowed_emotes: [EMOTE] });
  const from = new Date().toISOString();
  await expect
    .poll(
      async () => {
        const data = Array.from({ length: 8 }, () => ({ emote: EMOTE }));
        const answer = await request.post('/v1/channels/main/reactions', { data });
        expect(answer.status()).toBe(200);
        return windowsOf(request, from);
      },
      { timeout: 20_000, intervals: [2_500] },
    )
    .toBeGreaterThan(0);

  await logIn(page);
  const version = await page.getByTestId('settings-version').getAttribute('data-version');
  const preview = page.getByTestId('preview');
  const run = page.getByRole('button', { name: 'Try', exact: true });
  await page.getByLabel('Look back').selectOption('15');
  await run.click();
  await expect(page.getByTestId('preview-count')).toHaveText('0 moments');
  await expect(preview).toContainText('Nothing in this time would have been a moment.');

  const threshold = page.getByRole('textbox', { name: 'Threshold' });
  await threshold.fill('5');
  await page.keyboard.press('Tab');
  await expect(preview).toContainText('Try again');
  await run.click();
  await expect(page.getByTestId('preview-count')).toHaveText(/^[1-9]\d* moments?$/);
  await expect(preview.getByRole('listitem').first()).toContainText('rocket');
  await expect(preview).toContainText('The saved ones find0 moments');
  await expect(preview.getByRole('img')).toBeVisible();
  // Nothing was saved by trying.
  const authorization = `Bearer ${await tokenOf(request)}`;
  const now = await request.get('/v1/channels/main/settings', { headers: { authorization } });
  expect(String(((await now.json()) as { version: number }).version)).toBe(version);
});

test.describe('refused', () => {
  // The browser reports the refused save in its console.
  test.use({ mayRefuse: true });

  test('a number that the server refuses is told at its field, and mended there', async ({
    page,
    request,
  }) => {
    await resetSettings(request, { rule: { kind: 'full', preset: 'normal' } });
    await logIn(page);
    await page.getByRole('button', { name: 'Fine tuning' }).click();
    const factor = page.getByRole('textbox', { name: 'Times the usual rate' });
    await factor.fill('0.5');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Control+s');
    await expect(page.locator('[data-wrong="rule.factor"]')).toContainText('from 1 to 1000');
    await expect(factor).toBeFocused();
    await expect(factor).toHaveAttribute('aria-invalid', 'true');
    await expect(factor).toHaveAccessibleDescription(/from 1 to 1000/);
    await factor.fill('4');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Control+s');
    await expect(page.getByTestId('notice').last()).toContainText('Settings saved');
    await expect(page.locator('[data-wrong="rule.factor"]')).toHaveText('');
    await expect(page.getByTestId('history-version').first()).toContainText(
      'Times the usual rate: 4',
    );
    // Every number that the page offers is one that the server takes.
    const numbers = page.getByRole('group', { name: 'Fine tuning' }).getByRole('textbox');
    for (const number of await numbers.all()) {
      if ((await number.inputValue()) === '') continue;
      await expect(number).not.toHaveAttribute('aria-invalid', 'true');
    }
  });
});
