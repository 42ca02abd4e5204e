// Settings while somebody edits them: what was changed, and three-way merging with what another saved meanwhile.

import type { FullNumbers, Preset, Settings } from '../../api/documents.js';
import type { SettingsInput } from '../../api/settings.js';

/** The editable part of the settings, one entry for what is chosen as one. */
export interface Draft {
  kind: 'full' | 'plain';
  /** Numbers that are absent are those of the preset. */
  full: { preset?: Preset } & Partial<FullNumbers>;
  threshold: number;
  interval: number;
  /** null: every emote. */
  allowed: string[] | null;
  featured: string[];
  /** null: every emoji. */
  accepted: string[] | null;
}

export type Field = keyof Draft;

export const FIELDS: readonly Field[] = [
  'kind',
  'full',
  'threshold',
  'interval',
  'allowed',
  'featured',
  'accepted',
];

/** The numbers of the full rule, in the order in which they are shown. */
export const NUMBERS = [
  'floor',
  'significance',
  'factor',
  'reactors',
  'fast_ms',
  'slow_ms',
  'cooldown_ms',
  'together_ms',
] as const satisfies readonly (keyof FullNumbers)[];

export function draftOf({ rule, plain, allowed_emotes, palette }: Settings): Draft {
  const { kind: _, ...full } =
    rule.kind === 'full' ? rule : { kind: 'full' as const, preset: 'normal' as const };
  return {
    kind: rule.kind,
    full,
    threshold: plain.threshold,
    interval: plain.interval,
    allowed: allowed_emotes,
    featured: palette.featured,
    accepted: palette.accepted_emotes,
  };
}

export function inputOf(draft: Draft): SettingsInput {
  const { threshold, interval } = draft;
  return {
    rule: ruleOf(draft),
    plain: { threshold, interval },
    allowed_emotes: draft.allowed,
    palette: { featured: draft.featured, accepted_emotes: draft.accepted },
  };
}

/** The rule that is chosen, as it is sent. */
export function ruleOf({ kind, full, threshold, interval }: Draft): SettingsInput['rule'] {
  if (kind === 'plain') return { kind, threshold, interval };
  return { kind, ...full } as SettingsInput['rule'];
}

/** Fields in which two drafts differ; the order of allowed and accepted emotes means nothing. */
export function changes(before: Draft, after: Draft): Field[] {
  return FIELDS.filter((field) => shape(before, field) !== shape(after, field));
}

/** The same, of what is saved: the plain rule takes the full one's numbers neither along nor away. */
export function saved(before: Draft, after: Draft): Field[] {
  return changes(before, after).filter((field) => field !== 'full' || after.kind === 'full');
}

function shape(draft: Draft, field: Field): string {
  if (field === 'full') {
    const { preset, ...numbers } = draft.full;
    return JSON.stringify([preset, ...NUMBERS.map((name) => numbers[name] ?? null)]);
  }
  const value = draft[field];
  const unordered = field === 'allowed' || field === 'accepted';
  return JSON.stringify(unordered && Array.isArray(value) ? [...value].sort() : value);
}

export interface Merge {
  /** What both changed, to different ends. */
  conflicts: Field[];
  /** What only the other changed. */
  theirs: Field[];
  /** What only this one changed. */
  mine: Field[];
}

/** Compares two drafts that were made from one. */
export function compare(base: Draft, mine: Draft, theirs: Draft): Merge {
  const byMe = saved(base, mine);
  const byThem = saved(base, theirs);
  const apart = changes(mine, theirs);
  return {
    conflicts: byMe.filter((field) => byThem.includes(field) && apart.includes(field)),
    theirs: byThem.filter((field) => !byMe.includes(field)),
    mine: byMe.filter((field) => !byThem.includes(field)),
  };
}

export type Side = 'mine' | 'theirs';

/** Mine with those fields of theirs that are chosen. */
export function merged(mine: Draft, theirs: Draft, choice: Partial<Record<Field, Side>>): Draft {
  const chosen = FIELDS.filter((field) => choice[field] === 'theirs');
  return chosen.reduce((draft, field) => ({ ...draft, [field]: theirs[field] }), mine);
}

/** The field of the form that a field of the server's problem is about; undefined when it is none of them. */
export function fieldOfProblem(field: string | undefined): string | undefined {
  if (field === undefined) return undefined;
  const [section = '', name = ''] = field.split('.');
  if (name === 'threshold' || name === 'interval') return `plain.${name}`;
  if (section === 'rule' && (NUMBERS as readonly string[]).includes(name)) return `rule.${name}`;
  if (section === 'allowed_emotes' || section.startsWith('allowed_emotes['))
    return 'allowed_emotes';
  if (section === 'palette' && name.startsWith('accepted')) return 'palette.accepted_emotes';
  if (section === 'palette' && name.startsWith('featured')) return 'palette.featured';
  return undefined;
}

export interface Wrong {
  field: string;
  words: string;
}

/** What a form can see by itself before anything is sent. */
export function check(draft: Draft): Omit<Wrong, 'words'> | undefined {
  const { threshold, interval, featured } = draft;
  if (!(Number.isFinite(threshold) && threshold > 0)) return { field: 'plain.threshold' };
  if (!(Number.isInteger(interval) && interval >= 1)) return { field: 'plain.interval' };
  if (featured.length === 0) return { field: 'palette.featured' };
  return undefined;
}
