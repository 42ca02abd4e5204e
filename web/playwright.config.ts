// Browser tests against a running server with no audience, named by EMOSTREAM_URL.

import { defineConfig } from '@playwright/test';

const baseURL = process.env['EMOSTREAM_URL'];
if (!baseURL) throw new Error('EMOSTREAM_URL must name a running server');

export default defineConfig({
  testDir: 'tests',
  testMatch: '*.spec.ts',
  outputDir: 'test-results',
  // One channel and exact counts: the tests take turns.
  workers: 1,
  forbidOnly: Boolean(process.env['CI']),
  timeout: 30_000,
  expect: { timeout: 8_000 },
  reporter: [['list']],
  use: {
    baseURL,
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      chromiumSandbox: false,
    },
  },
});
