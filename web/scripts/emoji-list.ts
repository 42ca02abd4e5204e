// The module `virtual:emoji-list`: every emoji that the server takes, with its name and words to find it by.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const NAME = 'virtual:emoji-list';
const RESOLVED = `\0${NAME}`;
const PALETTE = fileURLToPath(new URL('../../crates/protocol/src/palette-v1.txt', import.meta.url));

/** An emoji of the data set; what has no group is no emoji by itself. */
interface Known {
  unicode: string;
  label: string;
  group?: number;
  order?: number;
  tags?: string[];
}

export function emojiList(): Plugin {
  return {
    name: 'emostream-emoji-list',
    resolveId: (id) => (id === NAME ? RESOLVED : undefined),
    load: (id) => (id === RESOLVED ? `export default ${JSON.stringify(list())};` : undefined),
  };
}

/** Rows `[emoji, name, further words, group]` in the order of keyboards. */
function list(): [string, string, string, number][] {
  const known = createRequire(import.meta.url)('emojibase-data/en/compact.json') as Known[];
  const bare = (emoji: string) => emoji.replaceAll('\uFE0F', '');
  const taken = new Map(
    readFileSync(PALETTE, 'utf8')
      .split('\n')
      .map((line) => [bare(line), line]),
  );
  taken.delete('');
  return known
    .filter(({ group, unicode }) => group !== undefined && taken.has(bare(unicode)))
    .sort((a, b) => (a.order ?? 0) - (b.order ?? 0))
    .map(({ unicode, label, tags, group }) => {
      const words = (tags ?? []).filter((tag) => !label.includes(tag)).join(' ');
      return [taken.get(bare(unicode)) ?? unicode, label, words, group ?? 0];
    });
}
