// Saving a draft: on top of the version it was made from, with conflicts to be chosen and errors at their field.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Settings } from '../../api/documents.js';
import { Problem, type Answer } from '../../api/http.js';
import { readSettings, saveSettings } from '../../api/settings.js';
import { notify } from '../../notices.js';
import { settingsTexts } from '../../texts/settings.js';
import { wordsOf } from '../status.js';
import { check, fieldOfProblem, inputOf, type Draft, type Wrong } from './draft.js';
import type { DraftState } from './use-draft.js';

interface Attempt {
  draft: Draft;
  etag: string;
}

type Outcome = { saved: Answer<Settings> } | { theirs: Answer<Settings> };

export interface Saving {
  save: (draft: Draft, etag: string) => void;
  isSaving: boolean;
  wrong: Wrong | undefined;
  /** What another saved meanwhile, until it is settled. */
  theirs: Answer<Settings> | undefined;
  settle: () => void;
}

export function useSave(channel: string, state: DraftState): Saving {
  const queries = useQueryClient();
  const [wrong, setWrong] = useState<Wrong>();
  const [theirs, setTheirs] = useState<Answer<Settings>>();

  const attempt = useMutation({
    mutationFn: ({ draft, etag }: Attempt) => saved(channel, draft, etag),
    onSuccess: (outcome, { draft }) => {
      if ('theirs' in outcome) {
        // The form keeps what was to be saved, whatever is chosen next.
        state.edit(draft);
        return setTheirs(outcome.theirs);
      }
      setTheirs(undefined);
      state.restart(outcome.saved);
      queries.setQueryData(['settings', channel], outcome.saved);
      notify(settingsTexts.saved, 'good');
      for (const what of ['history', 'palette']) {
        void queries.invalidateQueries({ queryKey: [what, channel] });
      }
    },
    onError: (error, { draft }) => {
      state.edit(draft);
      setTheirs(undefined);
      const field = error instanceof Problem ? fieldOfProblem(error.field) : undefined;
      if (field) refuse({ field, words: error.message });
      else notify(settingsTexts.notSaved(wordsOf(error)), 'bad');
    },
  });

  const refuse = (found: Wrong) => {
    setWrong(found);
    // After the field is there: it may be folded away.
    setTimeout(() => {
      const control = document.querySelector<HTMLElement>(`[data-field="${found.field}"]`);
      control?.scrollIntoView({ block: 'center' });
      control?.focus();
    }, 50);
  };

  const save = (draft: Draft, etag: string) => {
    if (attempt.isPending) return;
    const found = check(draft);
    if (found) return refuse({ ...found, words: settingsTexts.wrong[found.field] ?? '' });
    setWrong(undefined);
    attempt.mutate({ draft, etag });
  };
  return { save, isSaving: attempt.isPending, wrong, theirs, settle: () => setTheirs(undefined) };
}

/** Saves, or reads what stands in the way. */
async function saved(channel: string, draft: Draft, etag: string): Promise<Outcome> {
  try {
    return { saved: await saveSettings(channel, inputOf(draft), etag) };
  } catch (error) {
    if (error instanceof Problem && error.status === 412) {
      return { theirs: await readSettings(channel) };
    }
    throw error;
  }
}
