// Words of the settings page.

import type { Preset } from '../api/documents.js';

const emojis = (count: number) => `${count} ${count === 1 ? 'emoji' : 'emojis'}`;

export const settingsTexts = {
  title: 'Settings',
  version: (version: number, when: string, who: string) =>
    `Version ${version}, saved by ${who} (${when})`,
  bySystem: 'the configuration',
  readOnly: 'You can look at these settings. Changing them needs the role broadcaster.',
  draftRestored: 'Your unsaved changes from before are back.',
  saved: 'Settings saved. Viewers have them now.',
  saving: 'Saving…',
  save: 'Save',
  discard: 'Discard',
  unsaved: (count: number) => `${count} unsaved ${count === 1 ? 'change' : 'changes'}`,
  saveBar: 'Unsaved changes',
  notSaved: (words: string) => `Not saved: ${words}`,

  rule: {
    title: 'What makes a moment',
    kind: 'Rule',
    full: 'Adapts to the audience',
    fullHint:
      'Finds bursts far above what the channel is used to, by enough different people. Grows and shrinks with the audience.',
    plain: 'Simple threshold',
    plainHint: 'Finds a moment whenever one emoji exceeds a fixed value.',
    sensitivity: 'How hard it is to make a moment',
    presets: {
      easy: [
        'Easy',
        'More moments. For small audiences, and if you would rather delete one than miss one.',
      ],
      normal: ['Normal', 'The usual choice.'],
      hard: ['Hard', 'Few moments: only what stands out far.'],
    } satisfies Record<Preset, [string, string]>,
    fine: 'Fine tuning',
    fineHint: 'An empty field is as the chosen preset says.',
    numbers: {
      floor: ['Fewest reactions in a window', ''],
      significance: ['Significance', 'Standard deviations above the usual rate'],
      factor: ['Times the usual rate', ''],
      reactors: ['Fewest different people', ''],
      fast_ms: ['Recent rate looks back', 'milliseconds'],
      slow_ms: ['Usual rate looks back', 'milliseconds'],
      cooldown_ms: ['Pause after a moment', 'milliseconds, for the same emoji'],
      together_ms: [
        'Belongs to a moment',
        'milliseconds, for other emojis after it; 0: each for itself',
      ],
    },
    asPreset: 'as preset',
    measure: 'Measured as',
    share: 'Share',
    count: 'Count',
    threshold: 'Threshold',
    thresholdShareHint: (interval: number) =>
      `A moment is found when one emoji is more than this share of ${interval.toLocaleString('en')} reactions.`,
    thresholdCountHint:
      'A moment is found when one emoji comes more often than this within one window (2 seconds, unless configured otherwise).',
    interval: 'Interval',
    intervalHint: 'After this many reactions the share is judged.',
    intervalUnused: 'Used only when the threshold is a share.',
  },

  allowed: {
    title: 'Emojis that can make a moment',
    all: 'Every emoji',
    some: 'Only these',
    none: 'No emoji is chosen: nothing can make a moment.',
    add: 'Add emojis',
    pickerTitle: 'Emojis that can make a moment',
  },

  palette: {
    title: 'Buttons for viewers',
    hint: 'In this order. Choose one to move or remove it.',
    add: 'Add buttons',
    pickerTitle: 'Buttons for viewers',
    list: 'Buttons, in order',
    earlier: 'Move earlier',
    later: 'Move later',
    first: 'Move to the front',
    remove: 'Remove',
    accepted: 'Besides the buttons, viewers may send',
    acceptedAll: 'Every emoji',
    acceptedSome: 'Only these',
    acceptedAdd: 'Add accepted emojis',
    acceptedTitle: 'Emojis accepted besides the buttons',
    acceptedNone: 'Nothing else is accepted.',
  },

  custom: {
    title: 'Your own emojis',
    hint: 'PNG, WebP or GIF. Uploading and deleting take effect at once.',
    none: 'This channel has none yet.',
    name: 'Name',
    nameHint: 'Lower case letters, digits and _',
    nameWrong: 'Enter a name of lower case letters, digits and _.',
    file: 'Picture',
    fileWrong: 'Choose a picture.',
    upload: 'Upload',
    uploading: 'Uploading…',
    uploaded: (emote: string) => `${emote} is here. Add it to the buttons to offer it.`,
    remove: (emote: string) => `Delete ${emote}`,
    removed: (emote: string) => `${emote} is deleted.`,
    confirm: (emote: string) =>
      `Delete ${emote}? Buttons and lists that name it lose it. What was counted stays.`,
    size: (bytes: number) => `${Math.max(1, Math.round(bytes / 1024))} KiB`,
  },

  preview: {
    title: 'Try it on the past',
    hint: 'Shows which moments these settings would have found, before you save them.',
    range: 'Look back',
    ranges: { 15: '15 minutes', 60: '1 hour', 360: '6 hours', 1440: '24 hours' } as Record<
      number,
      string
    >,
    run: 'Try',
    running: 'Trying…',
    found: (count: number) => `${count} ${count === 1 ? 'moment' : 'moments'}`,
    would: 'These settings find',
    saved: 'The saved ones find',
    judged: (windows: number) => `judged on ${windows.toLocaleString('en')} windows`,
    judgedReactions: 'judged on the recorded reactions',
    stale: 'The settings have changed since. Try again.',
    none: 'Nothing in this time would have been a moment.',
    more: (count: number) => `and ${count} more`,
    timeline: 'When the moments would have been',
  },

  history: {
    title: 'History',
    version: 'Version',
    when: 'When',
    who: 'Who',
    what: 'What changed',
    first: 'The first version',
    nothing: 'Nothing that this page shows',
    restore: 'Use again',
    restored: (version: number) => `Version ${version} is in the form. Save to make it current.`,
    more: 'Older versions',
    current: 'current',
  },

  conflict: {
    title: 'Somebody else saved meanwhile',
    lead: (who: string, when: string, version: number) =>
      `${who} saved version ${version} (${when}), after you began. Nothing of either is lost: choose for each entry which one holds.`,
    field: 'Entry',
    mine: 'Yours',
    theirs: 'Theirs',
    before: 'Before',
    both: 'changed by both',
    onlyMine: 'changed by you',
    onlyTheirs: 'changed by them',
    choose: (field: string) => `Which holds: ${field}`,
    chooseFirst: (fields: string[]) =>
      `You both changed this. Choose which holds: ${fields.join(', ')}.`,
    wholesale: 'Settle everything at once',
    keepMine: 'Keep all of mine',
    keepMineDrops: (fields: string[], version: number) =>
      fields.length === 0
        ? 'Undoes nothing of theirs.'
        : `Undoes what they changed: ${fields.join(', ')}. The history keeps it as version ${version}.`,
    takeTheirs: 'Take all of theirs',
    takeTheirsDrops: (fields: string[]) =>
      fields.length === 0
        ? 'Drops nothing of yours.'
        : `Drops what you changed: ${fields.join(', ')}. It was never saved and cannot be brought back.`,
    save: 'Save this choice',
    later: 'Back to the form',
    took: 'Their settings are in the form now. Your changes are dropped.',
    same: 'You both changed the same entries to the same values. Nothing is left to choose.',
  },

  fields: {
    kind: 'Rule',
    full: 'Adaptive rule',
    threshold: 'Threshold',
    interval: 'Interval',
    allowed: 'Emojis that can make a moment',
    featured: 'Buttons',
    accepted: 'Other accepted emojis',
  },
  wrong: {
    'plain.threshold': 'Enter a number above 0.',
    'plain.interval': 'Enter a whole number from 1.',
    'palette.featured': 'Keep at least one button.',
  } as Record<string, string>,
  customised: 'changed by hand',
  emojis,
};
