// A lost and an ended connection, as a viewer sees them: the frames come from the test.

import type { Page, WebSocketRoute } from '@playwright/test';
import { buttons, connection, expect, test } from './page.js';

const EPOCH = 'e'.repeat(32);

/** Answers every connection with a greeting; `then` decides what follows. */
async function scripted(page: Page, then: (socket: WebSocketRoute, attempt: number) => void) {
  let attempt = 0;
  await page.routeWebSocket(/\/v1\/channels\/.*\/stream/, (socket) => {
    attempt += 1;
    const now = Date.now();
    send(socket, {
      type: 'hello',
      channel: 'main',
      epoch: EPOCH,
      seq: now * 256,
      server_time: new Date(now).toISOString(),
      pulse_ms: 100,
      window_ms: 2000,
      palette: ['🔥', '👏'],
      palette_version: 1,
    });
    then(socket, attempt);
  });
}

function send(socket: WebSocketRoute, frame: object): void {
  socket.send(JSON.stringify(frame));
}

test('a lost connection is counted down, resumed, and the waiting tap sent once', async ({
  page,
}) => {
  const reactions: { id: string }[] = [];
  let drop = () => {};
  await scripted(page, (socket, attempt) => {
    drop = () => {
      send(socket, { type: 'bye', reason: 'shutting-down', reconnect_in_ms: 2_500 });
      void socket.close({ code: 4000, reason: 'shutting-down' });
    };
    socket.onMessage((data) => {
      const reaction = JSON.parse(String(data));
      reactions.push(reaction);
      if (attempt > 1) send(socket, { type: 'ack', id: reaction.id });
    });
  });
  await page.goto('/');
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
  const button = buttons(page).first();
  await button.click();
  await expect(button).toHaveAttribute('data-outcome', 'sending');
  drop();
  await expect(connection(page)).toHaveAttribute('data-state', 'reconnecting');
  await expect(connection(page)).toContainText(/Reconnecting in [1-3] s/);
  await expect(connection(page)).toHaveAttribute('data-state', 'live');
  await expect(button).toHaveAttribute('data-outcome', 'counted');
  expect(reactions).toHaveLength(2);
  expect(reactions[1]!.id).toBe(reactions[0]!.id);
});

test('a refusal is told in words', async ({ page }) => {
  await scripted(page, (socket) => {
    socket.onMessage((data) => {
      const { id } = JSON.parse(String(data));
      send(socket, { type: 'error', id, code: 'rate-limited', detail: 'too fast' });
    });
  });
  await page.goto('/');
  await buttons(page).first().click();
  await expect(buttons(page).first()).toHaveAttribute('data-outcome', 'failed');
  await expect(page.getByRole('alert')).toContainText('🔥 was not counted');
});

test('an ended stream says so and takes no more taps', async ({ page }) => {
  await scripted(page, (socket) => {
    setTimeout(() => void socket.close({ code: 4502, reason: 'unknown-channel' }), 300);
  });
  await page.goto('/');
  await expect(connection(page)).toHaveAttribute('data-state', 'ended');
  await expect(connection(page)).toHaveText('Ended: no such channel');
  await expect(buttons(page).first()).toBeDisabled();
});

test.describe('a channel that does not exist', () => {
  // Placement refuses it, which the browser writes to its console.
  test.use({ mayRefuse: true });

  test('a channel that does not exist is said to be so', async ({ page, errors }) => {
    await page.goto('/?channel=nowhere');
    await expect(connection(page)).toHaveAttribute('data-state', 'ended');
    await expect(connection(page)).toHaveText('Ended: no such channel');
    expect(errors).toEqual([]);
  });
});

test('moments appear newest first, once each, and a gap is shown', async ({ page }) => {
  await page.route('**/moments?*', (route) =>
    route.fulfill({ json: { items: [], next_cursor: null } }),
  );
  await scripted(page, (socket) => {
    const start = Math.floor(Date.now() / 2000) * 2000;
    const moment = (at: number, emote: string, count: number) => ({
      type: 'moment',
      channel: 'main',
      epoch: EPOCH,
      seq: at * 256,
      id: `m${at}`,
      emote,
      window_start: new Date(at).toISOString(),
      window_ms: 2000,
      count,
      strength: 2.5,
      reactors: count - 1,
      rule: 'plain',
      rule_version: 1,
    });
    send(socket, { type: 'gap', from: (start - 60_000) * 256, to: (start - 30_000) * 256 });
    send(socket, moment(start - 20_000, '🔥', 120));
    send(socket, moment(start - 20_000, '🔥', 120));
    send(socket, moment(start, '👏', 1240));
  });
  await page.goto('/');
  const moments = page.getByTestId('moment');
  await expect(moments).toHaveCount(2);
  await expect(moments.first()).toHaveAttribute('data-emote', '👏');
  await expect(moments.first()).toContainText('1,240 clapping');
  await expect(moments.first()).toContainText('×2.5');
  await expect(page.getByTestId('moments')).toContainText('could not be recovered');
});
