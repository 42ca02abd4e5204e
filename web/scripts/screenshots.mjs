// Takes the pictures kept in docs/screenshots from the server at EMOSTREAM_URL, which should have an audience.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from '@playwright/test';

const url = process.env.EMOSTREAM_URL;
if (!url) throw new Error('EMOSTREAM_URL must name a running server');
const colorScheme = process.env.COLOR_SCHEME ?? 'dark';
const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/screenshots', import.meta.url));

/** Long enough for a few windows and a sky full of emotes. */
const WARM_UP_MS = 9_000;

const SHOTS = [
  { name: 'desktop', viewport: { width: 1440, height: 900 } },
  { name: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
];

await mkdir(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  chromiumSandbox: false,
});
try {
  for (const { name, ...screen } of SHOTS) {
    const page = await browser.newPage({ ...screen, colorScheme });
    await page.goto(url);
    await page.locator('[data-testid=connection][data-state=live]').waitFor();
    await page.waitForTimeout(WARM_UP_MS);
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
}
