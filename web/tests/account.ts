// An account for the browser tests: the administrator that scripts/browser-tests.sh gives the server.

import type { APIRequestContext, Page } from '@playwright/test';
import { expect } from './page.js';

export const ADMIN = {
  username: process.env['ADMIN_USERNAME'] ?? 'admin',
  password: process.env['ADMIN_PASSWORD'] ?? '',
};

/** Logs in by the form and waits for the page that follows. */
export async function logIn(
  page: Page,
  back = '/settings',
  account: { username: string; password: string } = ADMIN,
): Promise<void> {
  await page.goto(`/login?${new URLSearchParams({ return: back })}`);
  await page.getByLabel('User name').fill(account.username);
  await page.getByLabel('Password', { exact: true }).fill(account.password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByTestId('notice')).toContainText('Login succeeded');
}

export async function tokenOf(request: APIRequestContext): Promise<string> {
  const answer = await request.post('/v1/login', { data: ADMIN });
  expect(answer.status()).toBe(200);
  return ((await answer.json()) as { token: string }).token;
}

/** Sets the channel's settings to a known state, whatever stood there. */
export async function resetSettings(
  request: APIRequestContext,
  change: object = {},
): Promise<void> {
  const token = await tokenOf(request);
  const answer = await request.put('/v1/channels/main/settings', {
    headers: { authorization: `Bearer ${token}`, 'if-match': '*' },
    data: {
      rule: { kind: 'plain', threshold: 0.5, interval: 100 },
      allowed_emotes: null,
      palette: {
        featured: ['🔥', '👏', '❤️', '😂', '😮', '😢', '😡', '🎉', '⚽', '💯', '👍', '👎'],
        accepted_emotes: null,
      },
      ...change,
    },
  });
  expect(answer.status(), await answer.text()).toBe(200);
}
