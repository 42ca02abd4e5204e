// In front of the show: waiting in line, devices in the way, and being sent to an edge. The server's answers come from the test.

import AxeBuilder from '@axe-core/playwright';
import type { Page, Route, WebSocketRoute } from '@playwright/test';
import { buttons, connection, expect, test } from './page.js';

const EPOCH = 'e'.repeat(32);

/** Answers `POST /v1/placements` in this order; the last one stays. What was asked is kept. */
async function placements(page: Page, answers: ((route: Route) => Promise<void>)[]) {
  const asked: Record<string, unknown>[] = [];
  await page.route('**/v1/placements', async (route) => {
    asked.push(route.request().postDataJSON() as Record<string, unknown>);
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
    await answer(route);
  });
  return asked;
}

const inLine = (place: number, waiting: number) => (route: Route) =>
  route.fulfill({
    status: 503,
    headers: { 'retry-after': '1' },
    json: {
      type: '/errors/no-room',
      status: 503,
      detail: 'no edge has room',
      line: { token: `line-${place}`, place, waiting },
    },
  });

const device = (id: string, name: string) => ({
  device_id: id,
  name,
  since: new Date(Date.now() - 600_000).toISOString(),
  cluster: 'north',
  edge: 'north-1',
  connected: true,
});

const DEVICES = [device('tab-1', 'Firefox on Windows'), device('tab-2', 'Safari on iOS')];

const deviceLimit = (route: Route) =>
  route.fulfill({
    status: 409,
    json: { type: '/errors/device-limit', status: 409, detail: 'too many', devices: DEVICES },
  });

const placed = (route: Route) =>
  route.fulfill({
    json: {
      cluster: 'north',
      edge: 'north-2',
      url: 'http://edge.test:3006',
      ticket: 'the-ticket',
      expires_at: new Date(Date.now() + 30_000).toISOString(),
    },
  });

/** The allotted edge: greets, and counts what is sent. */
async function edge(page: Page) {
  const seen: { url: string; reactions: number } = { url: '', reactions: 0 };
  await page.routeWebSocket(/\/v1\/channels\/.*\/stream/, (socket: WebSocketRoute) => {
    seen.url = socket.url();
    const now = Date.now();
    const hello = {
      type: 'hello',
      channel: 'main',
      epoch: EPOCH,
      seq: now * 256,
      server_time: new Date(now).toISOString(),
      pulse_ms: 100,
      window_ms: 2000,
      palette: ['🔥', '👏'],
      palette_version: 1,
    };
    socket.send(JSON.stringify(hello));
    socket.onMessage((data) => {
      seen.reactions += 1;
      socket.send(JSON.stringify({ type: 'ack', id: JSON.parse(String(data)).id }));
    });
  });
  return seen;
}

async function findings(page: Page) {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

async function fitsPhone(page: Page) {
  const sideways = await page.evaluate(() => {
    const root = document.scrollingElement!;
    return root.scrollWidth - root.clientWidth;
  });
  expect(sideways).toBe(0);
  for (const button of await page.locator('#entrance button').all()) {
    const box = (await button.boundingBox())!;
    expect(Math.min(box.width, box.height)).toBeGreaterThanOrEqual(44);
  }
}

test('a viewer is sent to the allotted edge, and posts there', async ({ page }) => {
  await placements(page, [placed]);
  const seen = await edge(page);
  await page.goto('/');
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
  await expect(connection(page)).toHaveText('Live · north');
  await expect(connection(page)).toHaveAttribute('title', 'north, north-2: edge.test:3006');
  expect(seen.url).toBe('ws://edge.test:3006/v1/channels/main/stream?ticket=the-ticket');
  await buttons(page).first().click();
  await expect(buttons(page).first()).toHaveAttribute('data-outcome', 'counted');
  expect(seen.reactions).toBe(1);
});

test.describe('refused at first', () => {
  test.use({ mayRefuse: true });

  test('in line one sees the place move up, and comes in by oneself', async ({ page }) => {
    const asked = await placements(page, [inLine(3, 40), inLine(2, 39), inLine(1, 38), placed]);
    await edge(page);
    await page.goto('/');
    const title = page.getByRole('heading', { name: /You are number \d+ in line/ });
    await expect(title).toHaveText('You are number 3 in line');
    await expect(title).toBeFocused();
    await expect(connection(page)).toHaveText('In line');
    await expect(page.locator('#entrance').getByRole('status')).toHaveText(
      'Number 3 of 40 waiting.',
    );
    await expect(page.getByTestId('palette-button')).toHaveCount(0);
    await expect(title).toHaveText('You are number 2 in line');
    await expect(page.locator('#entrance').getByRole('status')).toContainText('You are next.');
    await expect(connection(page)).toHaveAttribute('data-state', 'live');
    await expect(title).toBeHidden();
    await expect(buttons(page).first()).toBeVisible();
    expect(asked.map(({ line }) => line)).toEqual([undefined, 'line-3', 'line-2', 'line-1']);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`line and device limit are accessible and fit a phone, ${colorScheme}`, async ({
      page,
    }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width: 320, height: 640 });
      await placements(page, [inLine(1_234, 20_000)]);
      await page.goto('/');
      await expect(
        page.getByRole('heading', { name: 'You are number 1,234 in line' }),
      ).toBeVisible();
      expect(await findings(page)).toEqual([]);
      await fitsPhone(page);
      const moving = await page.evaluate(
        () => document.getAnimations().filter(({ playState }) => playState === 'running').length,
      );
      expect(moving).toBe(0);
      await page.unroute('**/v1/placements');
      await placements(page, [deviceLimit]);
      await expect(
        page.getByRole('heading', { name: 'Your limit of 2 devices is reached' }),
      ).toBeVisible();
      expect(await findings(page)).toEqual([]);
      await fitsPhone(page);
    });
  }

  test('a device in the way is ended from here', async ({ page }) => {
    const asked = await placements(page, [deviceLimit, deviceLimit, placed]);
    await edge(page);
    await page.goto('/');
    await expect(page.getByTestId('device')).toHaveCount(2);
    await expect(page.getByTestId('device').first()).toContainText(/since \d\d:\d\d, on north-1/);
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect.poll(() => asked.length).toBe(2);
    await page.getByRole('button', { name: 'End Safari on iOS and watch here instead' }).click();
    await expect(connection(page)).toHaveAttribute('data-state', 'live');
    await expect(page.locator('#entrance')).toBeHidden();
    expect(asked.map(({ end_device_id }) => end_device_id)).toEqual([
      undefined,
      undefined,
      'tab-2',
    ]);
    // The tab is one device, also after a reload.
    await page.reload();
    await expect(connection(page)).toHaveAttribute('data-state', 'live');
    expect(new Set(asked.map(({ device_id }) => device_id)).size).toBe(1);
    expect(asked[0]!['device_name']).toMatch(/^Chrome on /);
  });
});
