// Values of a draft in words, for history and conflicts.

import { emoteName } from '../../emote-names.js';
import { appTexts } from '../../texts/app.js';
import { settingsTexts } from '../../texts/settings.js';
import { NUMBERS, type Draft, type Field } from './draft.js';

export function fieldName(field: Field): string {
  return settingsTexts.fields[field];
}

/** A field's value, short enough for a table; of the full rule, what sets it apart from another one. */
export function describe(draft: Draft, field: Field, other?: Draft): string {
  switch (field) {
    case 'kind':
      return settingsTexts.rule[draft.kind];
    case 'full':
      return describeFull(draft.full, other?.full);
    case 'threshold':
      return formatThreshold(draft.threshold);
    case 'interval':
      return draft.interval.toLocaleString('en');
    case 'allowed':
    case 'accepted':
    case 'featured':
      return describeEmotes(draft[field]);
  }
}

/** The same for ears: names in place of emoji. */
export function spoken(draft: Draft, field: Field): string | undefined {
  const emotes = emotesOf(draft, field);
  return emotes.length > 0 ? emotes.map(emoteName).join(', ') : undefined;
}

/** The emotes that a field lists; none where it lists none or every one. */
export function emotesOf(draft: Draft, field: Field): readonly string[] {
  const isList = field === 'allowed' || field === 'accepted' || field === 'featured';
  return (isList && draft[field]) || [];
}

/** Below 1 a share, else a count. */
export function formatThreshold(threshold: number): string {
  if (threshold >= 1) return threshold.toLocaleString('en');
  return threshold.toLocaleString('en', { style: 'percent', maximumFractionDigits: 1 });
}

function describeEmotes(emotes: string[] | null): string {
  if (!emotes) return appTexts.everyEmote;
  return emotes.length === 0 ? appTexts.noEmote : emotes.join(' ');
}

/** The preset says it all, unless numbers were changed by hand: then those that differ are named. */
function describeFull(full: Draft['full'], other: Draft['full'] | undefined): string {
  const { preset } = full;
  const name = preset ? settingsTexts.rule.presets[preset][0] : settingsTexts.customised;
  if (!other || other.preset !== preset) return name;
  const shown = NUMBERS.filter((number) => full[number] !== other[number]).map((number) => {
    const [label] = settingsTexts.rule.numbers[number];
    const value = full[number]?.toLocaleString('en') ?? settingsTexts.rule.asPreset;
    return `${label}: ${value}`;
  });
  return shown.length === 0 ? name : `${name} (${shown.join('; ')})`;
}
