// The settings for those who may only look, for those without a mouse, and for those who listen.

import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { ADMIN, logIn, resetSettings, tokenOf } from './account.js';
import { expect, test } from './page.js';

const MODERATOR = { username: 'watcher', password: 'only looking at these', role: 'moderator' };

async function findings(page: Page) {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

/** Presses Tab until an element with this name has the focus, as somebody without a mouse does. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  const names: string[] = [];
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press('Tab');
    const now = await page.evaluate(() => {
      const focused = document.activeElement;
      const label = focused instanceof HTMLInputElement ? focused.labels?.[0]?.textContent : '';
      return focused?.getAttribute('aria-label') ?? (label || focused?.textContent || '');
    });
    names.push(now.trim());
    if (name.test(now.trim())) return;
  }
  throw new Error(`Tab does not lead to ${name}, only to: ${names.join(' | ')}`);
}

test.beforeEach(async ({ request }) => {
  await resetSettings(request, { allowed_emotes: ['🔥', '👏'] });
});

test('a moderator sees the settings and is told why nothing can be changed', async ({
  page,
  request,
}) => {
  const authorization = `Bearer ${await tokenOf(request)}`;
  const made = await request.post('/v1/users', { data: MODERATOR, headers: { authorization } });
  expect([201, 409]).toContain(made.status());
  await logIn(page, '/settings', MODERATOR);
  await expect(page.getByText('Changing them needs the role broadcaster.')).toBeVisible();
  await expect(page.getByTestId('history-version').first()).toBeVisible();
  await expect(page.getByRole('slider', { name: 'Threshold' })).toBeDisabled();
  await expect(page.getByRole('textbox', { name: 'Threshold' })).toBeDisabled();
  await expect(page.getByRole('textbox', { name: 'Interval' })).toBeDisabled();
  for (const radio of await page.getByRole('radio').all()) await expect(radio).toBeDisabled();
  const emotes = page.getByRole('button', { name: /^Remove |, \d+ of / });
  for (const button of await emotes.all()) await expect(button).toBeDisabled();
  await expect(page.getByRole('button', { name: /^(Add|Upload|Use again|Save)/ })).toHaveCount(0);
  expect(await findings(page)).toEqual([]);
  // Trying a rule changes nothing, and a moderator may.
  await page.getByRole('button', { name: 'Try', exact: true }).click();
  await expect(page.getByTestId('preview-count')).toBeVisible();
});

test('login, settings, saving and logout by keyboard alone', async ({ page }) => {
  await page.goto('/');
  await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
  await tabTo(page, /^Log in$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Log in');
  await tabTo(page, /^User name$/);
  await page.keyboard.type(ADMIN.username);
  await page.keyboard.press('Tab');
  await page.keyboard.type(ADMIN.password);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('settings-version')).toBeVisible();

  await tabTo(page, /^Remove clapping$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'Remove clapping' })).toHaveCount(0);
  await tabTo(page, /Add emojis$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('searchbox', { name: 'Search emojis' })).toBeFocused();
  await page.keyboard.type('soccer');
  await expect(page.getByRole('option', { name: 'soccer ball' })).toBeVisible();
  await tabTo(page, /^soccer ball$/);
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('button', { name: /Add emojis$/ })).toBeFocused();
  await expect(page.getByRole('button', { name: 'Remove football' })).toBeVisible();
  await tabTo(page, /^Save$/);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('notice').last()).toContainText('Settings saved');
  await tabTo(page, /^Log out$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the open emoji picker and menu have no finding, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await logIn(page);
    await page.getByRole('button', { name: 'Add emojis' }).click();
    await expect(page.getByRole('listbox').getByRole('option').first()).toBeVisible();
    expect(await findings(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^fire, 1 of/ }).click();
    await expect(page.getByRole('menuitem', { name: 'Remove' })).toBeVisible();
    expect(await findings(page)).toEqual([]);
  });

  test.describe('conflict', () => {
    // The browser reports the refused save in its console.
    test.use({ mayRefuse: true });

    test(`the conflict dialog has no finding and fits a phone, ${colorScheme}`, async ({
      page,
      request,
    }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width: 320, height: 640 });
      await logIn(page);
      await page.getByRole('button', { name: 'Remove clapping' }).click();
      await resetSettings(request, { allowed_emotes: ['⚽'] });
      await page.keyboard.press('Control+s');
      const conflict = page.getByRole('alertdialog');
      await expect(conflict).toBeVisible();
      await conflict.getByText('Settle everything at once').click();
      expect(await findings(page)).toEqual([]);
      const sideways = await conflict.evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth);
      expect(sideways).toBe(0);
    });
  });
}
