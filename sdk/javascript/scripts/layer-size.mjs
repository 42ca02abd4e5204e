// Fails when client and reaction layer together, built for a page, are larger than a viewer should have to load.

import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const GZIP_BYTES_MAX = 15 * 1024;

const root = fileURLToPath(new URL('..', import.meta.url));
const result = await build({
  root,
  configFile: false,
  logLevel: 'silent',
  build: {
    write: false,
    minify: true,
    lib: {
      entry: {
        viewer: `${root}/src/index.ts`,
        layer: `${root}/src/layer/index.ts`,
      },
      formats: ['es'],
    },
  },
});

const chunks = [result].flat().flatMap(({ output }) => output);
const bytes = chunks.reduce((sum, chunk) => sum + gzipSync(chunk.code ?? chunk.source).length, 0);
const line = `viewer and layer: ${bytes} bytes of gzip, limit ${GZIP_BYTES_MAX}`;
if (bytes > GZIP_BYTES_MAX) {
  console.error(line);
  process.exit(1);
}
console.log(line);
