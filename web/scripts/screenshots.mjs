// Takes the pictures kept in docs/screenshots from the server at EMOSTREAM_URL, which should have an audience and the
// account ADMIN_USERNAME with ADMIN_PASSWORD.

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

/** Pages of the app, after the live ones: by then there is something to see. */
const PAGES = [
  { name: 'login', path: '/login', viewport: { width: 1440, height: 900 } },
  { name: 'settings', path: '/settings', viewport: { width: 1440, height: 900 }, loggedIn: true },
  {
    name: 'settings-phone',
    path: '/settings',
    viewport: { width: 390, height: 844 },
    loggedIn: true,
  },
  { name: 'moments', path: '/moments', viewport: { width: 1440, height: 900 }, loggedIn: true },
  {
    name: 'account',
    path: '/account',
    viewport: { width: 1440, height: 1000 },
    loggedIn: true,
    watching: true,
  },
];

async function logIn(page) {
  await page.goto(`${url}/login?return=/about`);
  await page.getByLabel('User name').fill(process.env.ADMIN_USERNAME ?? 'admin');
  await page.getByLabel('Password', { exact: true }).fill(process.env.ADMIN_PASSWORD ?? '');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(`${url}/about`);
}

/** Another device of the account, which shows the live page. */
async function watch() {
  const page = await browser.newPage();
  await logIn(page);
  await page.goto(url);
  await page.locator('[data-testid=connection][data-state=live]').waitFor();
  return page;
}

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
  for (const { name, path: address, loggedIn, watching, ...screen } of PAGES) {
    const page = await browser.newPage({ ...screen, colorScheme });
    if (loggedIn) await logIn(page);
    const other = watching && (await watch());
    await page.goto(url + address);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForLoadState('networkidle');
    if (watching) await page.getByTestId('device').waitFor();
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
    await page.close();
    if (other) await other.close();
  }
} finally {
  await browser.close();
}
