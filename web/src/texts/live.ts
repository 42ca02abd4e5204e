// Words that the live page's panels say. What never changes stands in index.html.

export const liveTexts = {
  title: (channel: string) => `${channel} · Emostream`,
  momentsFromAll: 'from every emoji',
  momentsFromNone: 'from no emoji',
  momentsFrom: 'from',
  momentsFromMore: (count: number) => `+${count}`,
  momentsFromSpoken: (names: string[]) => `Moments can come from: ${names.join(', ')}`,
  momentsFromAllSpoken: 'Moments can come from every emoji',
  momentsFromNoneSpoken: 'No emoji can make a moment',
  tapOrPress: 'Tap, or press 1 to 9',
  tap: 'Tap an emoji',
  react: (name: string) => `React with ${name}`,
  more: (count: number) => `${count} more emojis`,
  fewer: 'Fewer emojis',
  less: 'Less',
  tapsCounted: (count: number, written: string) =>
    `${written} ${count === 1 ? 'tap' : 'taps'} of yours counted`,
  streamEnded: 'The stream has ended',
  notCounted: (emote: string, reason: string) => `${emote} was not counted. ${reason}`,
  serverSaid: (words: string) => `The server said: ${words}`,
  refusals: {
    'rate-limited': 'You are faster than this channel allows. Take a breath.',
    'queue-full': 'Too many taps are waiting for the connection.',
    expired: 'The server could not be reached in time.',
    closed: 'The stream has ended.',
    'emote-not-allowed': 'The channel does not take this emoji any more.',
  } as Record<string, string>,

  connection: {
    live: 'Live',
    connecting: 'Connecting…',
    reconnecting: 'Reconnecting…',
    reconnectingIn: (seconds: number) => `Reconnecting in ${seconds} s`,
    liveOn: (cluster: string) => `Live · ${cluster}`,
    /** Where the stream comes from, for those who point at it. */
    from: (cluster: string, edge: string, address: string) => `${cluster}, ${edge}: ${address}`,
    inLine: 'In line',
    devicesInTheWay: 'Too many devices',
    ended: 'Ended',
    /** By the reason that ends a stream for good. */
    endings: {
      'unknown-channel': 'Ended: no such channel',
      'channel-not-found': 'Ended: no such channel',
      'taken-over': 'Ended: this device watches elsewhere',
      'device-ended': 'Ended by another device',
      'account-gone': 'Ended: the account is gone',
      'guests-refused': 'Ended: members only',
    } as Record<string, string>,
  },

  reactionsIn: (count: number, seconds: number) =>
    `${count === 1 ? 'reaction' : 'reactions'} in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`,

  strip: {
    peak: (written: string, seconds: number) => `Peak ${written} in ${seconds} s`,
    since: (seconds: number) =>
      seconds % 60 === 0 ? `${seconds / 60} min ago` : `${seconds} s ago`,
    spoken: (names: string[], peak: string) =>
      `Reactions over time; most: ${names.join(', ')}; peak ${peak}`,
  },

  moment: {
    people: (count: number, written: string) => `${written} ${count === 1 ? 'person' : 'people'}`,
    strength: 'strength',
    strengthHint: 'How many times what this moment needed',
    significanceHint: 'How many standard deviations above what was expected',
    missing: (from: string, to: string) => `Moments from ${from} to ${to} could not be recovered`,
  },
};
