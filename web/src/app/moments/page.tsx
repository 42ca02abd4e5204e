// The recorded moments of a channel: to look through, to tidy up, to take away.

import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { ArchivedMoment } from '../../api/documents.js';
import { LOADED_MAX, readMoments } from '../../api/moments.js';
import { mayActAs } from '../../api/session.js';
import { readPalette } from '../../api/settings.js';
import { picturesOf } from '../../palette.js';
import { momentsTexts as texts } from '../../texts/moments.js';
import { ChannelChoice } from '../channel-choice.js';
import { Page } from '../frame.js';
import { useSession } from '../use-session.js';
import { Failed, Loading } from '../status.js';
import { ExportSection } from './export.js';
import { MomentItem } from './item.js';
import '../../styles/settings.css';
import '../../styles/moments.css';

const HOUR_MS = 3_600_000;
const HOURS = [1, 24, 168, 0];
/** Moments drawn at once; more come by a press. */
const SHOWN_STEP = 50;

export function MomentsPage() {
  const channel = useSearch({ from: '/moments' }).channel ?? 'main';
  const [hours, setHours] = useState(24);
  // Fixed while one looks, so that list and export are of one time.
  const fromMs = useMemo(() => (hours === 0 ? undefined : Date.now() - hours * HOUR_MS), [hours]);
  useSession();
  const mayChange = mayActAs('moderator');
  const archive = useQuery({
    queryKey: ['moments', channel, hours, mayChange],
    queryFn: () => readMoments(channel, fromMs, mayChange),
  });
  return (
    <Page title={texts.title} aside={<ChannelChoice channel={channel} path="/moments" />}>
      <label className="inline-field page-lead">
        <span>{texts.range}</span>
        <select value={hours} onChange={(event) => setHours(Number(event.target.value))}>
          {HOURS.map((value) => (
            <option key={value} value={value}>
              {texts.ranges[value]}
            </option>
          ))}
        </select>
      </label>
      <div className="columns columns-moments">
        <section className="panel section" aria-label={texts.title}>
          {archive.isPending && <Loading />}
          {archive.isError && <Failed error={archive.error} again={() => void archive.refetch()} />}
          {archive.data && <List channel={channel} {...archive.data} mayChange={mayChange} />}
        </section>
        <ExportSection channel={channel} fromMs={fromMs} />
      </div>
    </Page>
  );
}

interface ListProps {
  channel: string;
  moments: ArchivedMoment[];
  cut: boolean;
  mayChange: boolean;
}

function List({ channel, moments, cut, mayChange }: ListProps) {
  const [shown, setShown] = useState(SHOWN_STEP);
  const palette = useQuery({ queryKey: ['palette', channel], queryFn: () => readPalette(channel) });
  const pictures = useMemo(() => picturesOf(palette.data?.custom_emotes ?? []), [palette.data]);
  const newest = useMemo(() => moments.toReversed(), [moments]);
  if (moments.length === 0) return <p>{texts.none}</p>;
  return (
    <>
      <p className="hint" role="status">
        {texts.some(moments.length)}
      </p>
      {cut && <p className="wrong">{texts.cut(LOADED_MAX)}</p>}
      <ol className="archive">
        {newest.slice(0, shown).map((moment) => (
          <MomentItem
            key={moment.id}
            channel={channel}
            moment={moment}
            pictures={pictures}
            mayChange={mayChange}
          />
        ))}
      </ol>
      {newest.length > shown && (
        <button type="button" className="button" onClick={() => setShown(shown + SHOWN_STEP)}>
          {texts.more}
        </button>
      )}
    </>
  );
}
