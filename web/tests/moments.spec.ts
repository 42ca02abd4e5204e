// The archive of moments: found, renamed, hidden, taken away.

import { readFile } from 'node:fs/promises';
import type { APIRequestContext } from '@playwright/test';
import { logIn, resetSettings, tokenOf } from './account.js';
import { expect, test } from './page.js';

const EMOTE = '🏆';

interface Item {
  id: string;
  emote: string;
  title?: string | null;
}

async function recorded(request: APIRequestContext): Promise<Item[]> {
  const answer = await request.get('/v1/channels/main/moments?limit=1000&order=desc');
  return ((await answer.json()) as { items: Item[] }).items.filter(({ emote }) => emote === EMOTE);
}

/** Makes a moment of this spec's own emote, by a threshold of three in a window. */
async function makeMoment(request: APIRequestContext): Promise<void> {
  await resetSettings(request, { rule: { kind: 'plain', threshold: 3, interval: 100 } });
  const before = (await recorded(request)).length;
  await expect
    .poll(
      async () => {
        const data = Array.from({ length: 8 }, () => ({ emote: EMOTE }));
        const answer = await request.post('/v1/channels/main/reactions', { data });
        expect(answer.status()).toBe(200);
        return (await recorded(request)).length;
      },
      { timeout: 20_000, intervals: [2_500] },
    )
    .toBeGreaterThan(before);
}

/** The browser's time of day an hour ago, as its field for times takes it. */
function hourAgo(): string {
  const now = new Date();
  const local = now.getTime() - now.getTimezoneOffset() * 60_000 - 3_600_000;
  return new Date(local).toISOString().slice(0, 19);
}

test('a moment is renamed, noted, hidden and shown again', async ({ page, request, browser }) => {
  await makeMoment(request);
  await logIn(page, '/moments');
  const first = page.getByTestId('archived-moment').first();
  // What was sent last may make one more moment between the page's look and ours.
  await expect(async () => {
    await page.reload();
    const [newest] = await recorded(request);
    await expect(first).toHaveAttribute('data-id', newest!.id, { timeout: 2_000 });
  }).toPass({ timeout: 20_000 });
  const moment = page.getByTestId('archived-moment').filter({ hasText: 'trophy' }).first();
  const id = (await moment.getAttribute('data-id'))!;
  const own = page.locator(`[data-id="${id}"]`);
  await own.getByRole('button', { name: /^Rename or note/ }).click();
  await page.keyboard.type('The cup is lifted');
  await own.getByLabel('Note').fill('camera 3');
  await own.getByRole('button', { name: 'Save' }).click();
  await expect(own.getByRole('heading')).toHaveText('The cup is lifted');
  await expect(own).toContainText('camera 3');
  await expect(own.getByRole('button', { name: /^Rename or note/ })).toBeFocused();

  await own.getByRole('button', { name: /^Hide/ }).click();
  await expect(own).toHaveAttribute('data-hidden', '');
  const viewer = await (await browser.newContext()).newPage();
  await viewer.goto('/moments');
  await expect(viewer.getByRole('heading', { name: 'Take them away' })).toBeVisible();
  await expect(viewer.getByText('Loading…')).toHaveCount(0);
  await expect(viewer.locator(`[data-id="${id}"]`)).toHaveCount(0);
  await expect(viewer.getByRole('button', { name: /^Hide/ })).toHaveCount(0);
  await viewer.context().close();
  await own.getByRole('button', { name: /^Show/ }).click();
  await expect(own).not.toHaveAttribute('data-hidden');
  const token = await tokenOf(request);
  const answer = await request.get(`/v1/channels/main/moments/${id}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(((await answer.json()) as Item).title).toBe('The cup is lifted');
});

test('every format is downloaded, shifted as asked', async ({ page, request }) => {
  await makeMoment(request);
  await page.goto('/moments');
  await page.getByLabel('Shift by').fill('x');
  await expect(page.getByText('Enter seconds, or minutes and seconds')).toBeVisible();
  await page.getByLabel('Shift by').fill('1:30');
  // Nothing says yet when the recording began: chapters have no place on it.
  const chapters = page.getByRole('link', { name: 'Download as YouTube chapters' });
  await expect(chapters).toHaveAttribute('aria-disabled', 'true');
  await page.getByLabel('Recording began').fill(hourAgo());
  for (const name of ['YouTube chapters', 'WebVTT', 'EDL', 'CSV', 'JSON', 'FFmetadata']) {
    const link = page.getByRole('link', { name: `Download as ${name}` });
    await expect(link).toHaveAttribute('href', /offset_ms=90000/);
    const answer = await request.get((await link.getAttribute('href'))!);
    expect(answer.status(), name).toBe(200);
    expect((await answer.body()).length, name).toBeGreaterThan(10);
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    expect(download.suggestedFilename(), name).toMatch(/^main-moments\./);
    const saved = await download.path().then((path) => readFile(path));
    expect(saved.equals(await answer.body()), name).toBe(true);
  }
});
