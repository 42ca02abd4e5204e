// One's own account: who one is, a new password, the devices that are connected, and the end of it. The server has the preset
// socket-clusters, so that people choose their tier and devices are on edges.

import AxeBuilder from '@axe-core/playwright';
import type { APIRequestContext, BrowserContext, Page } from '@playwright/test';
import { logIn } from '../account.js';
import { connection, expect, test } from '../page.js';

const URL = process.env['EMOSTREAM_CLUSTERS_URL'] ?? '';
const PASSWORD = 'a tab for everybody';
const NEXT = 'another tab for all';

test.skip(URL === '', 'EMOSTREAM_CLUSTERS_URL names no server with clusters');
// Some refusals are what is looked at here.
test.use({ baseURL: URL, mayRefuse: true });

/** An account that no other test has, with two devices. */
async function account(request: APIRequestContext, name: string) {
  const username = `${name}-${Date.now().toString(36)}`;
  const data = { username, password: PASSWORD, tier: 2 };
  const answer = await request.post('/v1/register', { data });
  expect(answer.status(), await answer.text()).toBe(201);
  return { username, password: PASSWORD };
}

/** Another tab of the same account, which shows the live page: a device. */
async function liveTab(
  context: BrowserContext,
  who: { username: string; password: string },
): Promise<Page> {
  const page = await context.newPage();
  await logIn(page, '/', who);
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
  return page;
}

function section(page: Page, name: string) {
  return page.getByRole('region', { name });
}

async function findings(page: Page) {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

async function fits(page: Page) {
  const sideways = await page.evaluate(() => {
    const root = document.scrollingElement!;
    return root.scrollWidth - root.clientWidth;
  });
  expect(sideways).toBe(0);
  for (const button of await page.getByRole('main').getByRole('button').all()) {
    const box = (await button.boundingBox())!;
    expect(Math.min(box.width, box.height)).toBeGreaterThanOrEqual(44);
  }
}

test('the account asks for a login, comes back, and says who one is', async ({ page, request }) => {
  const who = await account(request, 'dana');
  await page.goto('/account');
  await expect(page).toHaveURL('/login?return=%2Faccount');
  await logIn(page, '/about', who);
  await page.getByRole('link', { name: 'Account' }).click();
  await expect(page).toHaveURL('/account');
  await expect(page).toHaveTitle('Account · Emostream');
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
  const facts = section(page, 'Who you are');
  await expect(facts).toContainText(who.username);
  await expect(facts).toContainText('Viewer');
  await expect(facts).toContainText('Tier 2 2 devices may be connected at once.');
  await expect(section(page, 'Your devices')).toContainText('0 of 2 devices in use');
  await expect(section(page, 'Your devices')).toContainText('No device is connected.');
  await page.getByRole('button', { name: 'Log out' }).click();
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
  await expect(page.getByRole('link', { name: 'Account' })).toHaveCount(0);
});

test('a new password lets one in and the old one does not; other logins end, this one goes on', async ({
  page,
  context,
  request,
}) => {
  const who = await account(request, 'edda');
  const other = await context.newPage();
  await logIn(other, '/about', who);
  await logIn(page, '/account', who);
  const form = section(page, 'Change your password');
  const current = form.getByLabel('Current password');
  const next = form.getByLabel('New password');
  const change = form.getByRole('button', { name: 'Change password' });

  await change.click();
  await expect(form.getByText('Enter the password that you have now.')).toBeVisible();
  await expect(form.getByText('Choose a new password.')).toBeVisible();
  await expect(current).toBeFocused();
  await current.fill('not my password');
  await next.fill('seven77');
  await change.click();
  await expect(form.getByText('Use at least 8 characters; there are 7.')).toBeVisible();
  await expect(next).toBeFocused();
  await expect(next).toHaveAttribute('aria-invalid', 'true');
  await next.fill(NEXT);
  await page.keyboard.press('Enter');
  await expect(form.getByText('This is not your password.')).toBeVisible();
  await expect(current).toBeFocused();
  // A wrong password is no login that has expired.
  await expect(page).toHaveURL('/account');
  await current.fill(PASSWORD);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('notice').last()).toContainText('Your password is changed.');
  await expect(current).toHaveValue('');
  await expect(next).toHaveValue('');

  // Still logged in here, also after the devices are asked for again and a reload.
  await page.reload();
  await expect(section(page, 'Your devices')).toContainText('0 of 2 devices in use');
  // The other tab is not.
  await other.getByRole('link', { name: 'Account' }).click();
  await expect(other).toHaveURL('/login?return=%2Faccount');
  await other.getByLabel('User name').fill(who.username);
  await other.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await other.keyboard.press('Enter');
  await expect(other.getByRole('alert')).toHaveText('User name or password is wrong.');
  await other.getByLabel('Password', { exact: true }).fill(NEXT);
  await other.keyboard.press('Enter');
  await expect(other).toHaveURL('/account');
});

test('another device is seen to come, is ended after a question, and leaves', async ({
  page,
  context,
  request,
}) => {
  // Three tabs and as many logins.
  test.slow();
  const who = await account(request, 'finn');
  await logIn(page, '/account', who);
  const devices = section(page, 'Your devices');
  await expect(devices).toContainText('0 of 2 devices in use');
  const first = await liveTab(context, who);
  const second = await liveTab(context, who);
  await expect(devices.getByTestId('device')).toHaveCount(2);
  await expect(devices).toContainText('2 of 2 devices in use');
  const item = devices.getByTestId('device').first();
  await expect(item).toContainText(
    /Chrome on .*Connected · Since \d\d:\d\d, on edge\d \(cluster\d\)/s,
  );
  await expect(devices.getByText('This tab')).toHaveCount(0);

  const question = page.getByRole('alertdialog', { name: /^End Chrome on .*\?$/ });
  await item.getByRole('button', { name: /^End Chrome/ }).click();
  await expect(question).toBeVisible();
  await expect(question.getByRole('button', { name: 'Keep it' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(question).toBeHidden();
  await expect(item.getByRole('button', { name: /^End Chrome/ })).toBeFocused();
  await expect(connection(first)).toHaveAttribute('data-state', 'live');

  await page.keyboard.press('Enter');
  await question.getByRole('button', { name: 'End', exact: true }).click();
  await expect(page.getByTestId('notice').last()).toContainText('is ended.');
  await expect(devices.getByTestId('device')).toHaveCount(1);
  await expect(devices.getByRole('heading', { name: 'Your devices' })).toBeFocused();
  await expect(connection(first)).toHaveText('Ended by another device');
  await expect(connection(second)).toHaveAttribute('data-state', 'live');

  // One that has gone by itself meanwhile is no failure.
  await devices.getByRole('button', { name: /^End Chrome/ }).click();
  await expect(question).toBeVisible();
  await second.close();
  const token = await page.evaluate(
    () => JSON.parse(sessionStorage.getItem('emostream.session')!).token as string,
  );
  const headers = { authorization: `Bearer ${token}` };
  await expect
    .poll(async () => {
      const answer = await request.get('/v1/me/devices', { headers });
      return ((await answer.json()) as { items: unknown[] }).items.length;
    })
    .toBe(0);
  await question.getByRole('button', { name: 'End', exact: true }).click();
  await expect(page.getByTestId('notice').last()).toContainText('has left already.');
  await expect(devices.getByTestId('device')).toHaveCount(0);
});

test('the tab’s own device is marked', async ({ page, request }) => {
  const who = await account(request, 'gita');
  await logIn(page, '/', who);
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
  // As the browser opens a link in a window of the same tab's kind: with a copy of what the tab keeps.
  const opened = page.waitForEvent('popup');
  await page.evaluate(() => window.open('/account'));
  const other = await opened;
  const devices = section(other, 'Your devices');
  await expect(devices.getByTestId('device')).toHaveCount(1);
  await expect(devices.getByTestId('device')).toContainText('This tab');
});

test('an account is deleted with its password, and nobody is logged in afterwards', async ({
  page,
  context,
  request,
}) => {
  const who = await account(request, 'hugo');
  const live = await liveTab(context, who);
  await logIn(page, '/account', who);
  await section(page, 'Delete your account')
    .getByRole('button', { name: 'Delete account…' })
    .click();
  const question = page.getByRole('alertdialog', { name: 'Delete your account for good?' });
  await expect(question.getByLabel('Your password')).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(question.getByText('Enter your password.')).toBeVisible();
  await question.getByLabel('Your password').fill('not my password');
  await page.keyboard.press('Enter');
  await expect(question.getByText('This is not your password.')).toBeVisible();
  await expect(question.getByLabel('Your password')).toBeFocused();
  await question.getByLabel('Your password').fill(PASSWORD);
  await question.getByRole('button', { name: 'Delete for good' }).click();
  await expect(page.getByTestId('notice')).toContainText('Your account is deleted.');
  await expect(page).toHaveURL('/');
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  await expect(connection(live)).toHaveText('Ended: the account is gone');
  await expect(live.getByRole('link', { name: 'Log in' })).toBeVisible();
  const answer = await request.post('/v1/login', { data: who });
  expect(answer.status()).toBe(401);
});

test('what the server does not answer is told, and can be asked for again', async ({
  page,
  request,
}) => {
  const who = await account(request, 'ines');
  await logIn(page, '/about', who);
  const busy = { status: 503, json: { type: '/errors/overloaded', detail: 'too busy' } };
  await page.route('**/v1/me', (route) => route.fulfill(busy));
  await page.route('**/v1/me/devices', (route) => route.fulfill(busy));
  await page.route('**/v1/me/password', (route) =>
    route.fulfill({
      status: 429,
      headers: { 'retry-after': '10' },
      json: { type: '/errors/rate-limited', detail: 'too many attempts' },
    }),
  );
  await page.getByRole('link', { name: 'Account' }).click();
  await expect(page.getByRole('alert')).toContainText('too busy');
  await page.unroute('**/v1/me');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(section(page, 'Who you are')).toContainText(who.username);
  // The list of devices asks again by itself.
  const devices = section(page, 'Your devices');
  await expect(devices.getByRole('alert')).toContainText('too busy');
  await page.unroute('**/v1/me/devices');
  await expect(devices).toContainText('0 of 2 devices in use');
  await expect(devices.getByRole('alert')).toHaveCount(0);
  const form = section(page, 'Change your password');
  await form.getByLabel('Current password').fill(PASSWORD);
  await form.getByLabel('New password').fill(NEXT);
  await form.getByRole('button', { name: 'Change password' }).click();
  await expect(form.getByRole('alert')).toContainText('Try again in 10 seconds.');
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the account and its questions are accessible and fit a phone, ${colorScheme}`, async ({
    page,
    context,
    request,
  }) => {
    const who = await account(request, `jo-${colorScheme}`);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width: 320, height: 640 });
    await liveTab(context, who);
    await logIn(page, '/account', who);
    await expect(page.getByTestId('device')).toHaveCount(1);
    expect(await findings(page)).toEqual([]);
    await fits(page);
    await page.getByRole('button', { name: /^End Chrome/ }).click();
    await expect(page.getByRole('alertdialog')).toBeVisible();
    expect(await findings(page)).toEqual([]);
    await fits(page);
    await page.getByRole('button', { name: 'Keep it' }).click();
    await page.getByRole('button', { name: 'Delete account…' }).click();
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await expect(page.getByText('Enter your password.')).toBeVisible();
    expect(await findings(page)).toEqual([]);
    await fits(page);
    const moving = await page.evaluate(
      () => document.getAnimations().filter(({ playState }) => playState === 'running').length,
    );
    expect(moving).toBe(0);
  });
}
