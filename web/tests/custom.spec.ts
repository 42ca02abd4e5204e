// A channel's own emotes: uploaded, offered, seen in flight, deleted.

import type { Page } from '@playwright/test';
import { deflateSync } from 'node:zlib';
import { logIn, resetSettings, tokenOf } from './account.js';
import { buttons, expect, openLive, test } from './page.js';

const EMOTE = ':goal:';
const ADDRESS = /^\/v1\/channels\/main\/emotes\/goal/;

/** A square picture of one colour that nothing else on the page has. */
function magenta(edge = 64): Buffer {
  const row = Buffer.from([0, ...Array.from({ length: edge }, () => [255, 0, 255]).flat()]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: edge }, () => row)));
  const size = Buffer.alloc(8);
  size.writeUInt32BE(edge, 0);
  size.writeUInt32BE(edge, 4);
  const header = Buffer.concat([size, Buffer.from([8, 2, 0, 0, 0])]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', pixels),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** The check sum of PNG (ISO 3309), bit by bit. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Pixels of the reaction canvas that have the picture's colour. */
function magentaPixels(page: Page): Promise<number> {
  return page.locator('emostream-layer').evaluate((layer) => {
    const canvas = layer.shadowRoot!.querySelector('canvas')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red = 0, green = 0, blue = 0, alpha = 0] = data.subarray(at, at + 4);
      if (alpha > 100 && red > 200 && green < 60 && blue > 200) found += 1;
    }
    return found;
  });
}

function own(page: Page) {
  return page.getByRole('region', { name: 'Your own emojis' });
}

async function upload(page: Page): Promise<void> {
  await own(page).getByLabel('Name').fill('goal');
  const file = { name: 'goal.png', mimeType: 'image/png', buffer: magenta() };
  await own(page).getByLabel('Picture').setInputFiles(file);
  await own(page).getByRole('button', { name: 'Upload' }).click();
  await expect(page.getByTestId('notice').last()).toContainText(':goal: is here');
}

test.beforeEach(async ({ request }) => {
  await resetSettings(request);
  const authorization = `Bearer ${await tokenOf(request)}`;
  await request.delete('/v1/channels/main/emotes/goal', { headers: { authorization } });
});

test('an uploaded picture becomes a button, flies as a picture, and is gone when deleted', async ({
  page,
  browser,
}) => {
  await logIn(page);
  await upload(page);
  const listed = own(page).getByRole('listitem').filter({ hasText: EMOTE });
  await expect(listed.getByRole('presentation', { includeHidden: true })).toHaveAttribute(
    'src',
    ADDRESS,
  );

  await page.getByRole('button', { name: 'Add buttons' }).click();
  await page.getByRole('radio', { name: 'This channel' }).click();
  await page.getByRole('option', { name: 'goal' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByTestId('notice').last()).toContainText('Settings saved');

  const viewer = await (await browser.newContext()).newPage();
  await openLive(viewer);
  const more = viewer.getByRole('button', { name: /more emojis$/ });
  if (await more.isVisible()) await more.click();
  const button = viewer.getByRole('button', { name: 'React with goal' });
  const face = button.locator('img');
  await expect(face).toHaveAttribute('src', ADDRESS);
  await expect.poll(() => face.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(64);
  expect(await magentaPixels(viewer)).toBe(0);
  await button.click();
  await expect(button).toHaveAttribute('data-outcome', 'counted');
  await expect.poll(() => magentaPixels(viewer), { intervals: [50] }).toBeGreaterThan(200);

  page.once('dialog', (dialog) => void dialog.accept());
  await own(page).getByRole('button', { name: 'Delete :goal:' }).click();
  await expect(page.getByTestId('notice').last()).toContainText(':goal: is deleted');
  await expect(own(page).getByText('This channel has none yet.')).toBeVisible();
  await expect(viewer.getByRole('button', { name: 'React with goal' })).toHaveCount(0);
  await expect(buttons(viewer).first()).toBeVisible();
  await viewer.context().close();
});

test("somebody else's emote flies as its picture where no button offers it", async ({
  page,
  request,
  browser,
}) => {
  await logIn(page);
  await upload(page);
  const viewer = await (await browser.newContext()).newPage();
  await openLive(viewer);
  await expect(viewer.getByRole('button', { name: 'React with goal' })).toHaveCount(0);
  await expect
    .poll(
      async () => {
        const data = Array.from({ length: 5 }, () => ({ emote: EMOTE }));
        const answer = await request.post('/v1/channels/main/reactions', { data });
        expect(answer.status(), await answer.text()).toBe(200);
        return magentaPixels(viewer);
      },
      { timeout: 15_000, intervals: [400] },
    )
    .toBeGreaterThan(200);
  await viewer.context().close();
});

test.describe('refused', () => {
  // The browser reports the refused upload in its console.
  test.use({ mayRefuse: true });

  test('what is no picture is refused at its field', async ({ page }) => {
    await logIn(page);
    await own(page).getByLabel('Name').fill('Goal!');
    await own(page).getByRole('button', { name: 'Upload' }).click();
    await expect(own(page).getByRole('alert').first()).toContainText('lower case letters');
    await own(page).getByLabel('Name').fill('goal');
    const buffer = Buffer.from('no picture');
    const file = { name: 'goal.png', mimeType: 'image/png', buffer };
    await own(page).getByLabel('Picture').setInputFiles(file);
    await own(page).getByRole('button', { name: 'Upload' }).click();
    await expect(own(page).getByLabel('Picture')).toHaveAttribute('aria-invalid', 'true');
    await expect(own(page).getByText('This did not work:')).toBeVisible();
    await expect(own(page).getByText('This channel has none yet.')).toBeVisible();
  });
});
