// Every saved version: when, by whom, what changed; an old one can be taken into the form.

import { useInfiniteQuery } from '@tanstack/react-query';
import type { SettingsVersion } from '../../api/documents.js';
import { readHistory } from '../../api/settings.js';
import { notify } from '../../notices.js';
import { settingsTexts } from '../../texts/settings.js';
import { Emote } from '../emotes/emote.js';
import { Failed, Loading } from '../status.js';
import { formatTime } from '../time.js';
import { describe, emotesOf, fieldName, spoken } from './describe.js';
import { draftOf, saved, type Draft, type Field } from './draft.js';
import { Section, useForm } from './form.js';

const texts = settingsTexts.history;

export function HistorySection({ current }: { current: number }) {
  const { channel } = useForm();
  const history = useInfiniteQuery({
    queryKey: ['history', channel],
    queryFn: ({ pageParam }) => readHistory(channel, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const versions = history.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Section id="history" title={texts.title}>
      {history.isPending && <Loading />}
      {history.isError && <Failed error={history.error} again={() => void history.refetch()} />}
      <ol className="history">
        {versions.map((version, index) => (
          <Version
            key={version.version}
            version={version}
            before={versions[index + 1]}
            isCurrent={version.version === current}
          />
        ))}
      </ol>
      {history.hasNextPage && (
        <button
          type="button"
          className="button"
          onClick={() => void history.fetchNextPage()}
          disabled={history.isFetchingNextPage}
        >
          {texts.more}
        </button>
      )}
    </Section>
  );
}

interface VersionProps {
  version: SettingsVersion;
  before: SettingsVersion | undefined;
  isCurrent: boolean;
}

function Version({ version, before, isCurrent }: VersionProps) {
  const { edit, readOnly } = useForm();
  const draft = draftOf(version.settings);
  const restore = () => {
    edit(draft);
    notify(texts.restored(version.version), 'info');
  };
  return (
    <li data-testid="history-version">
      <div className="history-head">
        <p>
          <strong>
            {texts.version} {version.version}
          </strong>
          {isCurrent && <span className="badge">{texts.current}</span>}
        </p>
        <p className="hint">
          <time dateTime={version.changed_at}>{formatTime(version.changed_at)}</time>
          {' · '}
          {version.changed_by ?? settingsTexts.bySystem}
        </p>
      </div>
      <Changes
        before={before && draftOf(before.settings)}
        after={draft}
        version={version.version}
      />
      {!isCurrent && !readOnly && (
        <button
          type="button"
          className="button button-plain"
          onClick={restore}
          aria-label={`${texts.restore}: ${texts.version} ${version.version}`}
        >
          {texts.restore}
        </button>
      )}
    </li>
  );
}

function Changes(props: { before: Draft | undefined; after: Draft; version: number }) {
  const { before, after, version } = props;
  if (!before) return version === 1 ? <p className="history-what">{texts.first}</p> : null;
  const fields = saved(before, after);
  const other = before.kind === after.kind ? before : undefined;
  if (fields.length === 0) return <p className="history-what hint">{texts.nothing}</p>;
  return (
    <ul className="history-what">
      {fields.map((field) => (
        <li key={field}>
          {fieldName(field)}: <Value draft={after} field={field} other={other} />
        </li>
      ))}
    </ul>
  );
}

interface ValueProps {
  draft: Draft;
  field: Field;
  /** What it is set apart from. */
  other?: Draft | undefined;
}

/** A value for eyes, with names for ears where it is made of emoji. */
export function Value({ draft, field, other }: ValueProps) {
  const { pictures } = useForm();
  const names = spoken(draft, field);
  if (names === undefined) return <span className="value">{describe(draft, field, other)}</span>;
  return (
    <span className="value">
      <span className="visually-hidden">{names}</span>
      {emotesOf(draft, field).map((emote) => (
        <Emote key={emote} emote={emote} pictures={pictures} />
      ))}
    </span>
  );
}
