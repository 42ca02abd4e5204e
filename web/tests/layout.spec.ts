// The page on every screen: nothing overlaps, nothing scrolls sideways, everybody can use it.

import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { buttons, expect, openLive, test } from './page.js';

/** Smallest side of a touch target, in CSS pixels. */
const TARGET_PX_MIN = 44;

interface Box {
  name: string;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

function boxes(page: Page, selector: string): Promise<Box[]> {
  return page.locator(selector).evaluateAll((elements) =>
    elements
      .filter((element) => element.checkVisibility())
      .map((element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        const name = element.getAttribute('aria-label') ?? element.id ?? element.className;
        return { name, left, top, right, bottom };
      }),
  );
}

function overlaps(all: Box[]): string[] {
  return all.flatMap((a, index) =>
    all
      .slice(index + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      .map((b) => `${a.name} × ${b.name}`),
  );
}

for (const width of [320, 390, 768, 1440]) {
  test(`at ${width} px nothing overlaps or scrolls sideways`, async ({ page }) => {
    await page.setViewportSize({ width, height: width < 700 ? 700 : 900 });
    await openLive(page);
    const sideways = await page.evaluate(() => {
      const root = document.scrollingElement!;
      return root.scrollWidth - root.clientWidth;
    });
    expect(sideways).toBe(0);

    const targets = await boxes(page, 'button, a[href], input, select');
    expect(overlaps(targets)).toEqual([]);
    for (const { name, left, right, top, bottom } of targets) {
      expect(Math.min(right - left, bottom - top), name).toBeGreaterThanOrEqual(TARGET_PX_MIN);
      expect(left, name).toBeGreaterThanOrEqual(0);
      expect(right, name).toBeLessThanOrEqual(width);
    }
    const words = '.brand, #channel, #connection, .hero-number, .hero-label, .facts > div';
    expect(overlaps(await boxes(page, words))).toEqual([]);
  });
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [390, 1440]) {
    test(`axe finds nothing in ${colorScheme} at ${width} px`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await openLive(page);
      const { violations } = await new AxeBuilder({ page })
        .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
        .analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    });
  }
}

test('the title names the channel', async ({ page }) => {
  await page.goto('/');
  await expect(page).toHaveTitle('main · Emostream');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('main');
});

test('with reduced motion nothing floats', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await openLive(page);
  const button = buttons(page).first();
  await button.click();
  await expect(button).toHaveAttribute('data-outcome', 'counted');
  const flying = await page
    .locator('emostream-layer')
    .evaluate((layer) => (layer as HTMLElement & { particleCount: number }).particleCount);
  expect(flying).toBe(0);
  const moving = await page.evaluate(
    () => document.getAnimations().filter(({ playState }) => playState === 'running').length,
  );
  expect(moving).toBe(0);
});

test('with motion the own tap flies at once', async ({ page }) => {
  await openLive(page);
  await buttons(page).first().click();
  const flying = await page
    .locator('emostream-layer')
    .evaluate((layer) => (layer as HTMLElement & { particleCount: number }).particleCount);
  expect(flying).toBeGreaterThan(0);
});
