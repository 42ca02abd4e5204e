// What the browser tests share: opening the page, its parts, and a console that must stay clean.

import { test as base, expect, type Locator, type Page } from '@playwright/test';

/** A page whose errors fail the test. */
export const test = base.extend<{ errors: string[]; mayRefuse: boolean }>({
  /** Whether the server is expected to refuse something, which the browser writes to its console. */
  mayRefuse: [false, { option: true }],
  errors: [
    async ({ page, mayRefuse }, use) => {
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      page.on('console', (message) => {
        const refusal = mayRefuse && message.text().startsWith('Failed to load resource');
        if (message.type() === 'error' && !refusal) errors.push(message.text());
      });
      await use(errors);
      expect(errors, 'console errors').toEqual([]);
    },
    { auto: true },
  ],
});

/** Opens a channel's page and waits until it is live. */
export async function openLive(page: Page, channel = 'main'): Promise<void> {
  await page.goto(`/?channel=${channel}`);
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
  await expect(buttons(page).first()).toBeVisible();
}

export function connection(page: Page): Locator {
  return page.getByTestId('connection');
}

/** Palette buttons that are not folded away. */
export function buttons(page: Page): Locator {
  return page.getByTestId('palette-button').filter({ visible: true });
}

export { expect };
