// Which moments the draft would have found in the recorded past, beside what the saved settings found there.

import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { PreviewAnswer } from '../../api/documents.js';
import { previewRule } from '../../api/settings.js';
import { emoteName } from '../../emote-names.js';
import { formatCount } from '../../page.js';
import { settingsTexts } from '../../texts/settings.js';
import { Emote } from '../emotes/emote.js';
import { wordsOf } from '../status.js';
import { formatTime } from '../time.js';
import { changes, ruleOf, type Draft, type Field } from './draft.js';
import { Section, useForm } from './form.js';

const texts = settingsTexts.preview;
const SHOWN_MAX = 12;
/** What a preview depends on. */
const JUDGED: Field[] = ['kind', 'full', 'threshold', 'interval', 'allowed'];

interface Tried {
  draft: Draft;
  would: PreviewAnswer;
  saved: PreviewAnswer;
}

export function PreviewSection({ base }: { base: Draft }) {
  const { channel, mine } = useForm();
  const [minutes, setMinutes] = useState(60);
  const tried = useMutation({
    mutationFn: async (draft: Draft): Promise<Tried> => {
      const fromMs = Date.now() - minutes * 60_000;
      const of = ({ allowed, ...rest }: Draft) =>
        previewRule(channel, ruleOf({ allowed, ...rest }), allowed, fromMs);
      const would = await of(draft);
      const same = !differs(base, draft);
      return { draft, would, saved: same ? would : await of(base) };
    },
  });
  return (
    <Section id="preview" title={texts.title}>
      <p className="hint">{texts.hint}</p>
      <div className="row">
        <label className="inline-field">
          <span>{texts.range}</span>
          <select value={minutes} onChange={(event) => setMinutes(Number(event.target.value))}>
            {Object.entries(texts.ranges).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          className="button"
          onClick={() => tried.mutate(mine)}
          disabled={tried.isPending}
        >
          {tried.isPending ? texts.running : texts.run}
        </button>
      </div>
      <div role="status" className="preview" data-testid="preview">
        {tried.isError && <p className="wrong">{wordsOf(tried.error)}</p>}
        {tried.data && <Outcome tried={tried.data} stale={differs(tried.data.draft, mine)} />}
      </div>
    </Section>
  );
}

function differs(before: Draft, after: Draft): boolean {
  return changes(before, after).some((field) => JUDGED.includes(field));
}

function Outcome({ tried: { would, saved }, stale }: { tried: Tried; stale: boolean }) {
  const { pictures } = useForm();
  const newest = would.moments.slice(-SHOWN_MAX).reverse();
  return (
    <div className={stale ? 'stale' : undefined}>
      {stale && <p className="hint">{texts.stale}</p>}
      <dl className="versus">
        <div>
          <dt>{texts.would}</dt>
          <dd data-testid="preview-count">{texts.found(would.moments.length)}</dd>
        </div>
        <div>
          <dt>{texts.saved}</dt>
          <dd>{texts.found(saved.moments.length)}</dd>
        </div>
      </dl>
      <p className="hint">
        {would.source === 'reactions' ? texts.judgedReactions : texts.judged(would.windows)}
      </p>
      {would.moments.length === 0 ? (
        <p>{texts.none}</p>
      ) : (
        <>
          <Timeline answer={would} />
          <ol className="preview-list">
            {newest.map((moment) => (
              <li key={`${moment.window_start} ${moment.emote}`}>
                <Emote emote={moment.emote} pictures={pictures} />
                <span>
                  <strong>{formatCount(moment.count)}</strong> {emoteName(moment.emote)}
                </span>
                <time dateTime={moment.window_start}>{formatTime(moment.window_start)}</time>
              </li>
            ))}
          </ol>
          {would.moments.length > SHOWN_MAX && (
            <p className="hint">{texts.more(would.moments.length - SHOWN_MAX)}</p>
          )}
        </>
      )}
    </div>
  );
}

/** Marks on a line from the beginning to the end of what was judged. */
function Timeline({ answer: { from, to, moments } }: { answer: PreviewAnswer }) {
  const start = Date.parse(from);
  const length = Math.max(1, Date.parse(to) - start);
  return (
    <figure className="timeline">
      <svg viewBox="0 0 1000 40" preserveAspectRatio="none" role="img" aria-label={texts.timeline}>
        <rect className="timeline-line" x="0" y="19" width="1000" height="2" />
        {moments.map(({ window_start, emote }) => {
          const x = ((Date.parse(window_start) - start) / length) * 1000;
          return (
            <rect
              key={`${window_start} ${emote}`}
              className="timeline-mark"
              x={Math.min(996, Math.max(0, x))}
              y="6"
              width="4"
              height="28"
            />
          );
        })}
      </svg>
      <figcaption>
        <time dateTime={from}>{formatTime(from)}</time>
        <time dateTime={to}>{formatTime(to)}</time>
      </figcaption>
    </figure>
  );
}
