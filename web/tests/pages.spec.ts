// Every page of the app on every screen: addresses, accessibility, phones, motion.

import AxeBuilder from '@axe-core/playwright';
import { logIn } from './account.js';
import { expect, test } from './page.js';

const OPEN = ['/login', '/register', '/about', '/moments'];

async function findings(page: Parameters<typeof logIn>[0]) {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

async function sideways(page: Parameters<typeof logIn>[0]) {
  return page.evaluate(() => {
    const root = document.scrollingElement!;
    return root.scrollWidth - root.clientWidth;
  });
}

for (const path of OPEN) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`${path} is accessible and fits a phone, ${colorScheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width: 320, height: 640 });
      await page.goto(path);
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
      await expect(page.getByText('Loading…')).toHaveCount(0);
      expect(await findings(page)).toEqual([]);
      expect(await sideways(page)).toBe(0);
      await page.getByRole('button', { name: 'Menu' }).click();
      await expect(page.getByRole('link', { name: 'Live' })).toBeVisible();
      expect(await sideways(page)).toBe(0);
      await page.keyboard.press('Escape');
      await expect(page.getByRole('link', { name: 'Live' })).toBeHidden();
      const moving = await page.evaluate(
        () => document.getAnimations().filter(({ playState }) => playState === 'running').length,
      );
      expect(moving).toBe(0);
    });
  }
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`settings are accessible and fit a phone, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 320, height: 640 });
    await logIn(page);
    await expect(page.getByTestId('history-version').first()).toBeVisible();
    expect(await findings(page)).toEqual([]);
    expect(await sideways(page)).toBe(0);
  });
}

test('pages have addresses: links, back and forward, and the title follow them', async ({
  page,
}) => {
  await page.goto('/about');
  await expect(page).toHaveTitle('About Emostream · Emostream');
  await page.getByRole('link', { name: 'Moments' }).click();
  await expect(page).toHaveURL('/moments');
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
  await page.goBack();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('About Emostream');
  await page.goForward();
  await expect(page).toHaveTitle('Moments · Emostream');
  await page.getByRole('link', { name: 'Live' }).click();
  await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
  await page.goBack();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Moments');
});

test('a viewer who never leaves the live page loads nothing of the app', async ({ page }) => {
  const files: string[] = [];
  page.on('response', async (response) => {
    if (!response.url().includes('/assets/')) return;
    files.push(await response.text().catch(() => ''));
  });
  await page.goto('/');
  await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
  expect(files.length).toBeGreaterThan(1);
  const bytes = files.reduce((sum, text) => sum + text.length, 0);
  // Before compression, styles included; React alone has 180 kB.
  expect(bytes).toBeLessThan(64_000);
});

test.describe('nowhere', () => {
  // The browser reports the missing page in its console.
  test.use({ mayRefuse: true });

  test('an address without a page says so', async ({ page }) => {
    const answer = await page.goto('/nowhere');
    expect(answer?.status()).toBe(404);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Nothing here');
  });
});
