// Builds the page: hashed assets, pre-compressed siblings, the SDK from its sources.

import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { appPages } from './scripts/app-pages.ts';
import { emojiList } from './scripts/emoji-list.ts';
import { precompress } from './scripts/precompress.ts';

const sdk = (file: string) =>
  fileURLToPath(new URL(`../sdk/javascript/src/${file}`, import.meta.url));
const server = process.env['EMOSTREAM_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  resolve: {
    alias: [
      { find: '@emostream/viewer/layer', replacement: sdk('layer/index.ts') },
      { find: '@emostream/viewer', replacement: sdk('index.ts') },
    ],
  },
  // Nothing may be inlined as data: the page lives under a strict content security policy.
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Two documents: the live page stays small, the app with React is everybody else's.
    rolldownOptions: { input: ['index.html', 'app.html'] },
  },
  plugins: [react(), appPages(), emojiList(), precompress()],
  server: { proxy: { '/v1': { target: server, ws: true } } },
});
