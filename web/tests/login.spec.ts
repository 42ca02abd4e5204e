// Logging in and out, as somebody with a keyboard or a small phone does it.

import { ADMIN, logIn } from './account.js';
import { expect, test } from './page.js';

test.describe('refused', () => {
  // The browser reports the refused request in its console.
  test.use({ mayRefuse: true });

  test('a wrong password is told at the form, and nobody is logged in', async ({ page }) => {
    await page.goto('/login');
    await page.getByLabel('User name').fill(ADMIN.username);
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.keyboard.press('Enter');
    await expect(page.getByRole('alert')).toHaveText('User name or password is wrong.');
    await expect(page.getByRole('link', { name: 'Settings' })).toHaveCount(0);
    await expect(page.getByLabel('Password', { exact: true })).toBeFocused();
  });

  test('an expired login leads back to where one was', async ({ page }) => {
    await logIn(page);
    await page.evaluate(() => {
      const key = 'emostream.session';
      const session = JSON.parse(sessionStorage.getItem(key)!);
      sessionStorage.setItem(key, JSON.stringify({ ...session, token: `${session.token}x` }));
    });
    await page.goto('/settings');
    await expect(page).toHaveURL(/\/login\?return=%2Fsettings$/);
    await expect(page.getByTestId('notice')).toContainText('expired');
  });
});

test('a login succeeds, changes the header, and a logout changes it back', async ({ page }) => {
  await page.goto('/');
  const pages = page.getByRole('navigation', { name: 'Pages' });
  await expect(pages.getByRole('link')).toHaveText(['Live', 'Moments', 'About', 'Log in']);
  await logIn(page);
  await expect(page).toHaveURL('/settings');
  await expect(pages.getByRole('link')).toHaveText([
    'Live',
    'Moments',
    'Settings',
    'About',
    'Account',
  ]);
  await expect(pages).toContainText(ADMIN.username);
  await pages.getByRole('link', { name: 'Live' }).click();
  await expect(pages.getByRole('link', { name: 'Settings' })).toBeVisible();
  await pages.getByRole('button', { name: 'Log out' }).click();
  await expect(page.getByTestId('notice')).toContainText('logged out');
  await expect(pages.getByRole('link')).toHaveText(['Live', 'Moments', 'About', 'Log in']);
});

test('empty fields are named, and no address ever holds the token', async ({ page }) => {
  const addresses: string[] = [];
  page.on('request', (request) => addresses.push(request.url()));
  await page.goto('/login');
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByText('Enter your user name.')).toBeVisible();
  await logIn(page);
  const token = await page.evaluate(
    () => JSON.parse(sessionStorage.getItem('emostream.session')!).token as string,
  );
  expect(token.length).toBeGreaterThan(20);
  expect(addresses.filter((address) => address.includes(token))).toEqual([]);
});

test('settings ask for a login and come back', async ({ page }) => {
  await page.goto('/settings?channel=main');
  await expect(page).toHaveURL(/\/login\?return=/);
  await page.getByLabel('User name').fill(ADMIN.username);
  await page.getByLabel('Password', { exact: true }).fill(ADMIN.password);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/settings/);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Settings');
});

test('a return address of another server is not followed', async ({ page }) => {
  await logIn(page, '//example.org/x');
  await expect(page).toHaveURL('/settings');
});
