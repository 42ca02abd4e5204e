// System B as its user meets it: register by POST or by the page, open the page, be sent to a cluster, see the stream, post,
// and open one tab too many. The server has the preset socket-clusters with two clusters of four places each.

import type { APIRequestContext, BrowserContext, Page } from '@playwright/test';
import { buttons, connection, expect, test } from '../page.js';

const URL = process.env['EMOSTREAM_CLUSTERS_URL'] ?? '';
/** Places of all clusters. */
const PLACES = 8;
const PASSWORD = 'a tab for everybody';

test.skip(URL === '', 'EMOSTREAM_CLUSTERS_URL names no server with clusters');
// The refusals are what is looked at here.
test.use({ baseURL: URL, mayRefuse: true });

async function register(request: APIRequestContext, name: string, tier: number): Promise<void> {
  const answer = await request.post('/register', { data: { name, tier, password: PASSWORD } });
  expect(answer.status(), await answer.text()).toBe(201);
}

/** Logs in on the page, from where it leads to the live stream. */
async function logIn(page: Page, name: string): Promise<void> {
  await page.goto('/');
  const menu = page.getByRole('button', { name: 'Menu' });
  if (await menu.isVisible()) await menu.click();
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(/\/(\?.*)?$/);
}

async function isLive(page: Page): Promise<void> {
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
}

/** Another tab: a device of its own. */
async function tab(context: BrowserContext, name: string): Promise<Page> {
  const page = await context.newPage();
  await logIn(page, name);
  return page;
}

/** Takes the place that a ticket is for, in a page; it is held until the page is closed. */
function join({ url, ticket }: { url: string; ticket: string }): Promise<void> {
  const address = `${url.replace('http', 'ws')}/v1/channels/main/stream?ticket=${ticket}`;
  const socket = new WebSocket(address, 'emostream.json.v1');
  return new Promise((resolve, reject) => {
    socket.onmessage = () => resolve();
    socket.onclose = ({ code, reason }) => reject(new Error(`closed with ${code}: ${reason}`));
  });
}

test('in line while every place is taken, and in by oneself when one is free', async ({
  context,
  page,
  request,
}) => {
  const crowd = await context.newPage();
  await crowd.goto('/about');
  for (let place = 0; place < PLACES; place += 1) {
    const answer = await request.post('/v1/placements', { data: { channel: 'main' } });
    expect(answer.status(), await answer.text()).toBe(200);
    await crowd.evaluate(join, (await answer.json()) as { url: string; ticket: string });
  }
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'You are number 1 in line' })).toBeVisible();
  await expect(connection(page)).toHaveText('In line');
  await crowd.close();
  await expect(connection(page)).toHaveAttribute('data-state', 'live', { timeout: 20_000 });
  await expect(page.locator('#entrance')).toBeHidden();
});

test('registered by POST, sent to a cluster, sees the stream there, and posts', async ({
  page,
  request,
}) => {
  await register(request, 'ada', 1);
  const sockets: string[] = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await logIn(page, 'ada');
  await isLive(page);
  await expect(connection(page)).toHaveText(/Live · cluster[12]/);
  await expect(page.getByRole('navigation')).toContainText('ada');
  const edge = new globalThis.URL(sockets.at(-1)!);
  expect(edge.searchParams.get('ticket')).toBeTruthy();
  expect(edge.port).not.toBe(new globalThis.URL(URL).port);
  // Another user's emoji, sent as system B's users do.
  const sent = await request.post('/emojis', { data: { emoji: 'happy', user_id: 'bea' } });
  expect(sent.status()).toBe(200);
  await expect(page.getByTestId('window-counts')).toHaveAttribute('data-counts', /"😀":1/);
  await buttons(page).first().click();
  await expect(buttons(page).first()).toHaveAttribute('data-outcome', 'counted');
  await expect(page.getByTestId('window-counts')).toHaveAttribute('data-counts', /"🔥":1/);
});

test('one tab too many is refused with the others, and a closed one makes room', async ({
  page,
  context,
  request,
}) => {
  // Four tabs and as many logins.
  test.slow();
  await register(request, 'bea', 2);
  await logIn(page, 'bea');
  await isLive(page);
  const second = await tab(context, 'bea');
  await isLive(second);
  const third = await tab(context, 'bea');
  const title = third.getByRole('heading', { name: 'Your limit of 2 devices is reached' });
  await expect(title).toBeVisible();
  await expect(third.getByTestId('device')).toHaveCount(2);
  await expect(third.getByTestId('device').first()).toContainText(/Chrome on .*since \d\d:\d\d/s);
  await second.close();
  await expect(async () => {
    await third.getByRole('button', { name: 'Try again' }).click();
    await expect(connection(third)).toHaveAttribute('data-state', 'live', { timeout: 1_000 });
  }).toPass();
  // A fourth takes the place of the first, which is told.
  const fourth = await tab(context, 'bea');
  await fourth
    .getByRole('button', { name: /^End Chrome/ })
    .first()
    .click();
  await isLive(fourth);
  await expect(connection(page)).toHaveText('Ended by another device');
  await expect(buttons(page).first()).toBeDisabled();
  // A reload is the same tab: it takes its own place over, and nobody else's.
  await fourth.reload();
  await isLive(fourth);
  await expect(connection(third)).toHaveAttribute('data-state', 'live');
});

test('registered on the page, with a tier of one’s own', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/login');
  await page.getByRole('link', { name: 'Register' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Register');
  await page.getByRole('button', { name: 'Register and watch' }).click();
  await expect(page.getByText('Choose a user name.')).toBeVisible();
  await page.getByLabel('User name').fill('ada');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('Tier').selectOption({ label: 'Tier 2: 2 devices at once' });
  await page.getByRole('button', { name: 'Register and watch' }).click();
  await expect(page.getByText('This name is taken. Choose another.')).toBeVisible();
  await expect(page.getByLabel('User name')).toBeFocused();
  await page.getByLabel('User name').fill('cleo');
  await page.getByLabel('Password', { exact: true }).fill('short');
  await page.getByRole('button', { name: 'Register and watch' }).click();
  await expect(page.locator('#password-wrong')).not.toBeEmpty();
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Register and watch' }).click();
  await expect(page.getByTestId('notice')).toContainText('Welcome, cleo');
  await isLive(page);
});
