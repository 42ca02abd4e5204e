// The settings of a channel: what makes a moment, what viewers are offered, what was before.

import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useEffect, useMemo } from 'react';
import type { Settings } from '../../api/documents.js';
import type { Answer } from '../../api/http.js';
import { mayActAs } from '../../api/session.js';
import { readPalette, readSettings } from '../../api/settings.js';
import { notify } from '../../notices.js';
import { picturesOf } from '../../palette.js';
import { settingsTexts } from '../../texts/settings.js';
import { ChannelChoice } from '../channel-choice.js';
import { Page } from '../frame.js';
import { Failed, Loading } from '../status.js';
import { formatTime } from '../time.js';
import { ConflictDialog } from './conflict.js';
import { CustomSection } from './custom.js';
import { AllowedSection, PaletteSection } from './emotes.js';
import { FormProvider } from './form.js';
import { HistorySection } from './history.js';
import { PreviewSection } from './preview.js';
import { RuleSection } from './rule.js';
import { useDraft } from './use-draft.js';
import { useSave } from './use-save.js';
import '../../styles/settings.css';

export function SettingsPage() {
  const channel = useSearch({ from: '/settings' }).channel ?? 'main';
  const settings = useQuery({
    queryKey: ['settings', channel],
    queryFn: () => readSettings(channel),
    staleTime: 0,
    // What somebody is editing is renewed when it is saved, not behind the back.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  return (
    <Page title={settingsTexts.title} aside={<ChannelChoice channel={channel} path="/settings" />}>
      {settings.isPending && <Loading />}
      {settings.isError && <Failed error={settings.error} again={() => void settings.refetch()} />}
      {settings.data && <Editor key={channel} channel={channel} answer={settings.data} />}
    </Page>
  );
}

function Editor({ channel, answer }: { channel: string; answer: Answer<Settings> }) {
  const palette = useQuery({ queryKey: ['palette', channel], queryFn: () => readPalette(channel) });
  const customs = useMemo(() => palette.data?.custom_emotes ?? [], [palette.data]);
  const pictures = useMemo(() => picturesOf(customs), [customs]);
  const state = useDraft(channel, answer);
  const saving = useSave(channel, state);
  const readOnly = !mayActAs('broadcaster');
  const { base, mine, edit, etag } = state;
  const form = { channel, mine, edit, readOnly, wrong: saving.wrong, pictures };
  const { version, updated_at: when, updated_by: who } = answer.body;

  const takeTheirs = () => {
    if (saving.theirs) state.restart(saving.theirs);
    saving.settle();
    notify(settingsTexts.conflict.took, 'info');
  };
  return (
    <FormProvider value={form}>
      <p className="lead page-lead" data-testid="settings-version" data-version={version}>
        {settingsTexts.version(version, formatTime(when), who ?? settingsTexts.bySystem)}
      </p>
      {readOnly && (
        <p className="panel told" role="note">
          {settingsTexts.readOnly}
        </p>
      )}
      <div className="columns">
        <div className="column">
          <RuleSection />
          <AllowedSection />
          <PreviewSection base={base} />
        </div>
        <div className="column">
          <PaletteSection />
          <CustomSection emotes={customs} />
          <HistorySection current={version} />
        </div>
      </div>
      {state.changed.length > 0 && !readOnly && (
        <SaveBar
          count={state.changed.length}
          isSaving={saving.isSaving}
          save={() => saving.save(mine, etag)}
          discard={state.discard}
        />
      )}
      {saving.theirs && (
        <ConflictDialog
          base={base}
          mine={mine}
          theirs={saving.theirs}
          save={(draft) => saving.save(draft, saving.theirs?.etag ?? etag)}
          takeTheirs={takeTheirs}
          later={saving.settle}
        />
      )}
    </FormProvider>
  );
}

interface SaveBarProps {
  count: number;
  isSaving: boolean;
  save: () => void;
  discard: () => void;
}

/** Within reach while there is something to save; Ctrl+S saves too. */
function SaveBar({ count, isSaving, save, discard }: SaveBarProps) {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== 's' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      save();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, [save]);
  return (
    <section className="save-bar panel" aria-label={settingsTexts.saveBar}>
      <p role="status">{settingsTexts.unsaved(count)}</p>
      <button type="button" className="button" onClick={discard} disabled={isSaving}>
        {settingsTexts.discard}
      </button>
      <button
        type="button"
        className="button button-main"
        onClick={save}
        aria-disabled={isSaving}
        aria-keyshortcuts="Control+S"
      >
        {isSaving ? settingsTexts.saving : settingsTexts.save}
      </button>
    </section>
  );
}
