// One recorded moment: what it was, and, for moderators, its title, its note, and whether others see it.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import type { ArchivedMoment } from '../../api/documents.js';
import { changeMoment, type MomentChange } from '../../api/moments.js';
import { emoteName } from '../../emote-names.js';
import { notify } from '../../notices.js';
import { formatCount, formatStrength } from '../../page.js';
import { appTexts } from '../../texts/app.js';
import { momentsTexts as texts } from '../../texts/moments.js';
import { Emote } from '../emotes/emote.js';
import { wordsOf } from '../status.js';
import { formatTime } from '../time.js';

interface ItemProps {
  channel: string;
  moment: ArchivedMoment;
  pictures: ReadonlyMap<string, string>;
  mayChange: boolean;
}

export function MomentItem({ channel, moment, pictures, mayChange }: ItemProps) {
  const [editing, setEditing] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const change = useChange(channel, moment.id);
  const name = moment.title || `${formatCount(moment.count)} ${emoteName(moment.emote)}`;
  const close = () => {
    setEditing(false);
    // After the button is back.
    setTimeout(() => opener.current?.focus());
  };
  const hide = () => {
    const hidden = !moment.hidden;
    change.mutate({
      change: { hidden },
      said: hidden ? texts.hiddenNow : texts.shownNow,
    });
  };
  return (
    <li
      className="archived"
      data-testid="archived-moment"
      data-id={moment.id}
      data-hidden={moment.hidden ? '' : undefined}
    >
      <span className="archived-emote">
        <Emote emote={moment.emote} pictures={pictures} />
      </span>
      <div className="archived-body">
        <h2>
          {name}
          {moment.hidden && <span className="badge badge-hidden">{texts.hidden}</span>}
        </h2>
        <Facts moment={moment} />
        {moment.note && !editing && <p className="as-written">{moment.note}</p>}
      </div>
      {mayChange && !editing && (
        <div className="archived-actions">
          <button
            type="button"
            className="button button-plain"
            ref={opener}
            onClick={() => setEditing(true)}
            aria-label={texts.editing(name)}
          >
            {texts.edit}
          </button>
          <button
            type="button"
            className="button button-plain"
            onClick={hide}
            disabled={change.isPending}
            aria-label={`${moment.hidden ? texts.show : texts.hide}: ${name}`}
          >
            {moment.hidden ? texts.show : texts.hide}
          </button>
        </div>
      )}
      {editing && (
        <Editor
          moment={moment}
          busy={change.isPending}
          save={(words) =>
            change.mutate({ change: words, said: texts.saved }, { onSuccess: close })
          }
          cancel={close}
        />
      )}
    </li>
  );
}

function useChange(channel: string, id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ change }: { change: MomentChange; said: string }) =>
      changeMoment(channel, id, change),
    onSuccess: async (_, { said }) => {
      await queries.invalidateQueries({ queryKey: ['moments', channel] });
      notify(said, 'good');
    },
    onError: (error) => notify(wordsOf(error), 'bad'),
  });
}

function Facts({ moment }: { moment: ArchivedMoment }) {
  const { count, emote, title, reactors, strength, rule, window_start: start } = moment;
  return (
    <p className="hint">
      <time dateTime={start}>{formatTime(start)}</time>
      {title && ` · ${formatCount(count)} ${emoteName(emote)}`}
      {reactors > 0 && ` · ${texts.people(reactors, formatCount(reactors))}`}
      {` · ${texts.strength} ${formatStrength(strength, rule)}`}
    </p>
  );
}

interface EditorProps {
  moment: ArchivedMoment;
  busy: boolean;
  save: (words: { title: string | null; note: string | null }) => void;
  cancel: () => void;
}

function Editor({ moment, busy, save, cancel }: EditorProps) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector('input')?.focus(), []);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const words = (name: string) => String(data.get(name) ?? '').trim() || null;
    save({ title: words('title'), note: words('note') });
  };
  const id = (name: string) => `${name}-${moment.id}`;
  return (
    <form
      className="archived-editor"
      ref={form}
      onSubmit={submit}
      onKeyDown={(event) => event.key === 'Escape' && cancel()}
    >
      <div className="field">
        <label htmlFor={id('title')}>{texts.name}</label>
        <input id={id('title')} name="title" maxLength={120} defaultValue={moment.title ?? ''} />
      </div>
      <div className="field">
        <label htmlFor={id('note')}>{texts.note}</label>
        <textarea
          id={id('note')}
          name="note"
          maxLength={2000}
          defaultValue={moment.note ?? ''}
          aria-describedby={id('note-hint')}
        />
        <p className="hint" id={id('note-hint')}>
          {texts.noteHint}
        </p>
      </div>
      <div className="row">
        <button type="submit" className="button button-main" disabled={busy}>
          {appTexts.save}
        </button>
        <button type="button" className="button" onClick={cancel}>
          {appTexts.cancel}
        </button>
      </div>
    </form>
  );
}
