// The emoji picker: groups, search, and a grid in which arrow keys move and Enter chooses. Its list is the server's own.

import { useMemo, useState } from 'react';
import {
  Input,
  ListBox,
  ListBoxItem,
  SearchField,
  ToggleButton,
  ToggleButtonGroup,
  type Key,
  type Selection,
} from 'react-aria-components';
import emojiList from 'virtual:emoji-list';
import { emoteName } from '../../emote-names.js';
import { pickerTexts } from '../../texts/picker.js';
import { Emote } from './emote.js';

interface PickerProps {
  chosen: readonly string[];
  pictures: ReadonlyMap<string, string>;
  toggle: (emote: string, chosen: boolean) => void;
}

interface Found {
  emote: string;
  name: string;
  words: string;
  group: number;
}

const OWN_GROUP = -1;
/** More answers help nobody, and each costs time to draw. */
const FOUND_MAX = 120;

export function Picker({ chosen, pictures, toggle }: PickerProps) {
  const all = useMemo(() => everything(pictures), [pictures]);
  const [group, setGroup] = useState(0);
  const [sought, setSought] = useState('');
  const shown = useMemo(() => seek(all, sought, group), [all, sought, group]);
  const groups = [...new Set(all.map((found) => found.group))].sort((a, b) => a - b);

  const change = (selection: Selection) => {
    const now = selection === 'all' ? shown.map(({ emote }) => emote) : [...selection].map(String);
    const visible = new Set(shown.map(({ emote }) => emote));
    for (const emote of now) if (!chosen.includes(emote)) toggle(emote, true);
    for (const emote of chosen)
      if (visible.has(emote) && !now.includes(emote)) toggle(emote, false);
  };

  return (
    <>
      <SearchField
        className="picker-search"
        aria-label={pickerTexts.search}
        value={sought}
        onChange={setSought}
        autoFocus
      >
        <Input placeholder={pickerTexts.search} />
      </SearchField>
      <Groups
        groups={groups}
        chosen={sought ? undefined : group}
        choose={(id) => {
          setSought('');
          setGroup(id);
        }}
      />
      <p className="visually-hidden" role="status">
        {sought && pickerTexts.found(shown.length)}
      </p>
      <ListBox
        className="picker-list"
        aria-label={pickerTexts.emojis}
        layout="grid"
        items={shown}
        selectionMode="multiple"
        selectedKeys={chosen.filter((emote) => shown.some((found) => found.emote === emote))}
        onSelectionChange={change}
        escapeKeyBehavior="none"
        renderEmptyState={() => <p className="hint">{pickerTexts.nothing}</p>}
      >
        {({ emote, name }) => (
          <ListBoxItem id={emote} textValue={name} className="picker-emote" aria-label={name}>
            <Emote emote={emote} pictures={pictures} />
          </ListBoxItem>
        )}
      </ListBox>
    </>
  );
}

interface GroupsProps {
  groups: number[];
  /** None while something is sought. */
  chosen: number | undefined;
  choose: (group: number) => void;
}

function Groups({ groups, chosen, choose }: GroupsProps) {
  return (
    <ToggleButtonGroup
      className="picker-groups"
      aria-label={pickerTexts.group}
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={chosen === undefined ? [] : [String(chosen)]}
      onSelectionChange={(keys: Set<Key>) => {
        for (const key of keys) choose(Number(key));
      }}
    >
      {groups.map((id) => {
        const [face, name] = pickerTexts.groups[id] ?? ['', String(id)];
        return (
          <ToggleButton key={id} id={String(id)} aria-label={name} className="picker-group">
            <Emote emote={face} />
          </ToggleButton>
        );
      })}
    </ToggleButtonGroup>
  );
}

function everything(pictures: ReadonlyMap<string, string>): Found[] {
  const own = [...pictures.keys()].map((emote) => {
    return { emote, name: emoteName(emote), words: emote, group: OWN_GROUP };
  });
  const known = emojiList.map(([emote, name, words, group]) => ({ emote, name, words, group }));
  return [...own, ...known];
}

/** All words have to begin a word of the name or of what else it is called; names come first. */
function seek(all: Found[], sought: string, group: number): Found[] {
  const wanted = sought.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return all.filter((found) => found.group === group);
  const begins = (text: string) => {
    const padded = ` ${text.toLowerCase()}`;
    return wanted.every((word) => padded.includes(` ${word}`));
  };
  const named = all.filter(({ name, emote }) => begins(name) || emote === sought.trim());
  const called = all.filter(
    (found) => !named.includes(found) && begins(`${found.name} ${found.words}`),
  );
  return [...named, ...called].slice(0, FOUND_MAX);
}
