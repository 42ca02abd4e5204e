// Words of the emoji picker. Groups are those of the Unicode list, by number.

export const pickerTexts = {
  search: 'Search emojis',
  groups: {
    '-1': ['⭐', 'This channel'],
    0: ['😀', 'Smileys and emotion'],
    1: ['👋', 'People and body'],
    3: ['🐻', 'Animals and nature'],
    4: ['🍔', 'Food and drink'],
    5: ['🚀', 'Travel and places'],
    6: ['⚽', 'Activities'],
    7: ['💡', 'Objects'],
    8: ['💯', 'Symbols'],
    9: ['🏁', 'Flags'],
  } as Record<number, [string, string]>,
  group: 'Group',
  nothing: 'No emoji is called that.',
  emojis: 'Emojis',
  found: (count: number) => `${count} ${count === 1 ? 'emoji' : 'emojis'}`,
};
