// The draft of one channel's settings: kept in the tab, so that neither a login that expires nor a reload loses it.

import { useCallback, useEffect, useState } from 'react';
import type { Settings } from '../../api/documents.js';
import type { Answer } from '../../api/http.js';
import { notify } from '../../notices.js';
import { settingsTexts } from '../../texts/settings.js';
import { changes, compare, draftOf, merged, type Draft, type Field } from './draft.js';

interface Editing {
  /** What the server had when editing began. */
  base: Draft;
  /** Version that a save is made on. */
  etag: string;
  mine: Draft;
}

export interface DraftState extends Editing {
  changed: Field[];
  edit: (change: Partial<Draft>) => void;
  discard: () => void;
  /** Goes on from settings that the server has by now. */
  restart: (answer: Answer<Settings>, mine?: Draft) => void;
}

/** The draft on top of the settings just read; it stays when newer ones are read and nothing collides. */
export function useDraft(channel: string, answer: Answer<Settings>): DraftState {
  const [editing, setEditing] = useState<Editing>(() => restored(channel) ?? fresh(answer));
  const etag = answer.etag ?? '';

  useEffect(() => {
    setEditing((now) => (now.etag === etag ? now : rebased(now, answer)));
  }, [answer, etag]);
  useEffect(() => keep(channel, editing), [channel, editing]);

  const edit = useCallback((change: Partial<Draft>) => {
    setEditing((now) => ({ ...now, mine: { ...now.mine, ...change } }));
  }, []);
  const discard = useCallback(() => setEditing((now) => ({ ...now, mine: now.base })), []);
  const restart = useCallback((newer: Answer<Settings>, mine?: Draft) => {
    const next = fresh(newer);
    setEditing(mine ? { ...next, mine } : next);
  }, []);
  return { ...editing, changed: changes(editing.base, editing.mine), edit, discard, restart };
}

function fresh(answer: Answer<Settings>): Editing {
  const base = draftOf(answer.body);
  return { base, mine: base, etag: answer.etag ?? `"${answer.body.version}"` };
}

/** Moves own changes onto newer settings; where both changed the same, saving will ask. */
function rebased(now: Editing, newer: Answer<Settings>): Editing {
  const next = fresh(newer);
  const { conflicts, theirs } = compare(now.base, now.mine, next.base);
  if (conflicts.length > 0) return now;
  const choice = Object.fromEntries(theirs.map((field) => [field, 'theirs' as const]));
  return { ...next, mine: merged(now.mine, next.base, choice) };
}

function key(channel: string): string {
  return `emostream.draft.${channel}`;
}

function keep(channel: string, editing: Editing): void {
  try {
    const dirty = changes(editing.base, editing.mine).length > 0;
    if (dirty) sessionStorage.setItem(key(channel), JSON.stringify(editing));
    else sessionStorage.removeItem(key(channel));
  } catch {
    // Then the draft lives as long as the page.
  }
}

function restored(channel: string): Editing | undefined {
  try {
    const value = JSON.parse(sessionStorage.getItem(key(channel)) ?? 'null') as Editing | null;
    if (!value?.base || !value.mine || typeof value.etag !== 'string') return undefined;
    if (changes(value.base, value.mine).length === 0) return undefined;
    setTimeout(() => notify(settingsTexts.draftRestored, 'info'));
    return value;
  } catch {
    return undefined;
  }
}
