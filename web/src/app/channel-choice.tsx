// Which channel a page is about, where there are several.

import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { readChannels } from '../api/settings.js';
import { addressOf } from '../navigation.js';
import { appTexts } from '../texts/app.js';

export function ChannelChoice({ channel, path }: { channel: string; path: string }) {
  const router = useRouter();
  const channels = useQuery({ queryKey: ['channels'], queryFn: readChannels });
  const names = channels.data?.map(({ name }) => name) ?? [];
  if (names.length < 2) return null;
  const shown = names.includes(channel) ? names : [channel, ...names];
  return (
    <label className="inline-field">
      <span>{appTexts.channel}</span>
      <select
        value={channel}
        onChange={(event) => router.history.push(addressOf(path, event.target.value))}
      >
        {shown.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}
