// The recorded moments of a channel: to look through, to tidy up, to take away.

import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import type { ArchivedMoment } from '../../api/documents.js';
import { readMoments } from '../../api/moments.js';
import { mayActAs } from '../../api/session.js';
import { readPalette } from '../../api/settings.js';
import { picturesOf } from '../../palette.js';
import { appTexts } from '../../texts/app.js';
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

export function MomentsPage() {
  const channel = useSearch({ from: '/moments' }).channel ?? 'main';
  const [hours, setHours] = useState(24);
  // Fixed while one looks, so that list and export are of one time.
  const fromMs = useMemo(() => (hours === 0 ? undefined : Date.now() - hours * HOUR_MS), [hours]);
  useSession();
  const mayChange = mayActAs('moderator');
  const archive = useInfiniteQuery({
    queryKey: ['moments', channel, hours, mayChange],
    queryFn: ({ pageParam: cursor }) =>
      readMoments(channel, { fromMs, withHidden: mayChange, cursor }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const moments = useMemo(() => archive.data?.pages.flatMap(({ items }) => items), [archive.data]);
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
          {moments && (
            <List
              channel={channel}
              moments={moments}
              hasMore={archive.hasNextPage}
              mayChange={mayChange}
            />
          )}
          {archive.hasNextPage && (
            <button
              type="button"
              className="button"
              onClick={() => void archive.fetchNextPage()}
              aria-disabled={archive.isFetchingNextPage}
            >
              {archive.isFetchingNextPage ? appTexts.loading : texts.more}
            </button>
          )}
        </section>
        <ExportSection channel={channel} fromMs={fromMs} />
      </div>
    </Page>
  );
}

interface ListProps {
  channel: string;
  moments: ArchivedMoment[];
  /** Whether there are older ones than these. */
  hasMore: boolean;
  mayChange: boolean;
}

function List({ channel, moments, hasMore, mayChange }: ListProps) {
  const palette = useQuery({ queryKey: ['palette', channel], queryFn: () => readPalette(channel) });
  const pictures = useMemo(() => picturesOf(palette.data?.custom_emotes ?? []), [palette.data]);
  if (moments.length === 0) return <p className="nothing">{texts.none}</p>;
  return (
    <>
      <p className="hint" role="status">
        {hasMore ? texts.first(moments.length) : texts.some(moments.length)}
      </p>
      <ol className="archive">
        {moments.map((moment) => (
          <MomentItem
            key={moment.id}
            channel={channel}
            moment={moment}
            pictures={pictures}
            mayChange={mayChange}
          />
        ))}
      </ol>
    </>
  );
}
