// The channel's own emotes: uploaded and deleted at once, offered by the buttons above.

import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef, useState, type FormEvent } from 'react';
import type { CustomEmote } from '../../api/documents.js';
import { deleteEmote, uploadEmote } from '../../api/settings.js';
import { notify } from '../../notices.js';
import { settingsTexts } from '../../texts/settings.js';
import { Emote } from '../emotes/emote.js';
import { wordsOf } from '../status.js';
import { Section, useForm } from './form.js';

const texts = settingsTexts.custom;
const NAME = /^[a-z0-9_]+$/;

export function CustomSection({ emotes }: { emotes: CustomEmote[] }) {
  const { channel, readOnly, pictures } = useForm();
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: (emote: string) => deleteEmote(channel, bare(emote)),
    onSuccess: async (_, emote) => {
      notify(texts.removed(emote), 'good');
      await refresh(queries, channel);
    },
    onError: (error) => notify(wordsOf(error), 'bad'),
  });
  return (
    <Section id="custom" title={texts.title}>
      <p className="hint">{texts.hint}</p>
      {emotes.length === 0 ? (
        <p>{texts.none}</p>
      ) : (
        <ul className="customs">
          {emotes.map(({ emote, bytes }) => (
            <li key={emote}>
              <Emote emote={emote} pictures={pictures} />
              <span className="custom-name">{emote}</span>
              <span className="hint">{bytes === null ? '' : texts.size(bytes)}</span>
              {!readOnly && (
                <button
                  type="button"
                  className="button button-plain"
                  aria-label={texts.remove(emote)}
                  onClick={() => confirm(texts.confirm(emote)) && remove.mutate(emote)}
                >
                  ✕
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {!readOnly && <Upload />}
    </Section>
  );
}

function Upload() {
  const { channel } = useForm();
  const queries = useQueryClient();
  const form = useRef<HTMLFormElement>(null);
  const [wrong, setWrong] = useState<{ name?: string; file?: string }>({});
  const upload = useMutation({
    mutationFn: ({ name, file }: { name: string; file: File }) => uploadEmote(channel, name, file),
    onSuccess: async (_, { name }) => {
      notify(texts.uploaded(`:${name}:`), 'good');
      form.current?.reset();
      await refresh(queries, channel);
    },
    onError: (error) => setWrong({ file: wordsOf(error) }),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const name = bare(String(data.get('name') ?? '').trim());
    const file = data.get('file');
    if (!NAME.test(name)) return setWrong({ name: texts.nameWrong });
    if (!(file instanceof File) || file.size === 0) return setWrong({ file: texts.fileWrong });
    setWrong({});
    upload.mutate({ name, file });
  };
  return (
    <form className="upload" ref={form} onSubmit={submit} noValidate>
      <div className="field">
        <label htmlFor="emote-name">{texts.name}</label>
        <input
          id="emote-name"
          name="name"
          maxLength={34}
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          placeholder="goal"
          aria-invalid={Boolean(wrong.name)}
          aria-describedby="emote-name-wrong emote-name-hint"
        />
        <p className="hint" id="emote-name-hint">
          {texts.nameHint}
        </p>
        <p className="wrong" id="emote-name-wrong" role="alert">
          {wrong.name}
        </p>
      </div>
      <div className="field">
        <label htmlFor="emote-file">{texts.file}</label>
        <input
          id="emote-file"
          name="file"
          type="file"
          accept="image/png,image/webp,image/gif"
          aria-invalid={Boolean(wrong.file)}
          aria-describedby="emote-file-wrong"
        />
        <p className="wrong" id="emote-file-wrong" role="alert">
          {wrong.file}
        </p>
      </div>
      <button type="submit" className="button" disabled={upload.isPending}>
        {upload.isPending ? texts.uploading : texts.upload}
      </button>
    </form>
  );
}

/** A custom emote changes palette and settings alike. */
async function refresh(queries: ReturnType<typeof useQueryClient>, channel: string): Promise<void> {
  await Promise.all(
    ['palette', 'settings', 'history'].map((what) =>
      queries.invalidateQueries({ queryKey: [what, channel] }),
    ),
  );
}

/** `:goal:` → `goal`. */
function bare(emote: string): string {
  return emote.replace(/^:|:$/g, '');
}
