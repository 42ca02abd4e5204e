// Two saved: the second sees what the first changed, and chooses entry by entry. What both changed has no choice made
// for it, and the ways that drop something name what they drop.

import { useId, useRef, useState } from 'react';
import {
  Button,
  Dialog,
  Heading,
  Modal,
  ModalOverlay,
  Radio,
  RadioGroup,
} from 'react-aria-components';
import type { Settings } from '../../api/documents.js';
import type { Answer } from '../../api/http.js';
import { settingsTexts } from '../../texts/settings.js';
import { formatTime } from '../time.js';
import { fieldName } from './describe.js';
import {
  changes,
  compare,
  draftOf,
  merged,
  type Draft,
  type Field,
  type Merge,
  type Side,
} from './draft.js';
import { Value } from './history.js';

const texts = settingsTexts.conflict;

interface ConflictProps {
  base: Draft;
  mine: Draft;
  theirs: Answer<Settings>;
  /** Saves this on top of theirs. */
  save: (draft: Draft) => void;
  takeTheirs: () => void;
  later: () => void;
}

export function ConflictDialog(props: ConflictProps) {
  const { later } = props;
  return (
    <ModalOverlay className="overlay" isOpen onOpenChange={(open) => !open && later()}>
      <Modal className="modal">
        <Dialog role="alertdialog" className="dialog" data-testid="conflict">
          <Choices {...props} />
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

function Choices({ base, mine, theirs, save, takeTheirs, later }: ConflictProps) {
  const { updated_by: who, updated_at: when, version } = theirs.body;
  const their = draftOf(theirs.body);
  const difference = compare(base, mine, their);
  const fields = [...difference.conflicts, ...difference.theirs, ...difference.mine];
  const [choice, setChoice] = useState<Choice>(() => only(difference));
  const [asked, setAsked] = useState(false);
  const list = useRef<HTMLUListElement>(null);
  const open = difference.conflicts.filter((field) => choice[field] === undefined);
  const submit = () => {
    const [first] = open;
    if (first === undefined) return save(merged(mine, their, choice));
    setAsked(true);
    list.current?.querySelector<HTMLElement>(`[data-conflict=${first}] input`)?.focus();
  };
  return (
    <>
      <Heading slot="title">{texts.title}</Heading>
      <p>{texts.lead(who ?? settingsTexts.bySystem, formatTime(when), version)}</p>
      {fields.length === 0 && <p>{texts.same}</p>}
      <ul className="conflicts" ref={list}>
        {fields.map((field) => (
          <Entry
            key={field}
            field={field}
            reason={reasonOf(difference, field)}
            drafts={{ base, mine, their }}
            side={choice[field] ?? null}
            isMissing={asked && open.includes(field)}
            choose={(side) => setChoice({ ...choice, [field]: side })}
          />
        ))}
      </ul>
      <details className="wholesale">
        <summary>{texts.wholesale}</summary>
        <Wholesale
          words={texts.keepMine}
          cost={texts.keepMineDrops(
            named([...difference.theirs, ...difference.conflicts]),
            version,
          )}
          act={() => save(mine)}
        />
        <Wholesale
          words={texts.takeTheirs}
          cost={texts.takeTheirsDrops(named([...difference.mine, ...difference.conflicts]))}
          act={takeTheirs}
        />
      </details>
      <div className="dialog-actions">
        <p className="wrong" role="alert">
          {asked && open.length > 0 ? texts.chooseFirst(named(open)) : ''}
        </p>
        <Button className="button button-main" onPress={submit} autoFocus>
          {texts.save}
        </Button>
        <Button className="button button-plain" onPress={later}>
          {texts.later}
        </Button>
      </div>
    </>
  );
}

interface EntryProps {
  field: Field;
  /** Who changed it. */
  reason: string;
  drafts: { base: Draft; mine: Draft; their: Draft };
  side: Side | null;
  isMissing: boolean;
  choose: (side: Side) => void;
}

function Entry({ field, reason, drafts, side, isMissing, choose }: EntryProps) {
  const { base, mine, their } = drafts;
  const changed = changes(base, mine).includes(field) ? mine : their;
  return (
    <li data-conflict={field}>
      <p className="conflict-field">
        <strong>{fieldName(field)}</strong> <span className="hint">{reason}</span>
      </p>
      <p className="hint">
        {texts.before}: <Value draft={base} field={field} other={changed} />
      </p>
      <RadioGroup
        className="sides"
        aria-label={texts.choose(fieldName(field))}
        value={side}
        onChange={(chosen) => choose(chosen as Side)}
        isInvalid={isMissing}
      >
        <Radio value="mine" className="side">
          <span className="side-name">{texts.mine}</span>
          <Value draft={mine} field={field} other={their} />
        </Radio>
        <Radio value="theirs" className="side">
          <span className="side-name">{texts.theirs}</span>
          <Value draft={their} field={field} other={mine} />
        </Radio>
      </RadioGroup>
    </li>
  );
}

type Choice = Partial<Record<Field, Side>>;

/** What only one of both changed is that one's, until it is chosen otherwise. */
function only({ mine, theirs }: Merge): Choice {
  const sides = (fields: Field[], side: Side) => fields.map((field) => [field, side] as const);
  return Object.fromEntries([...sides(mine, 'mine'), ...sides(theirs, 'theirs')]);
}

function named(fields: Field[]): string[] {
  return fields.map(fieldName);
}

interface WholesaleProps {
  words: string;
  /** What is dropped by it. */
  cost: string;
  act: () => void;
}

/** A way to settle everything at once, beside what it costs. */
function Wholesale({ words, cost, act }: WholesaleProps) {
  const id = useId();
  return (
    <div className="wholesale-way">
      <Button className="button" onPress={act} aria-describedby={id}>
        {words}
      </Button>
      <p className="hint" id={id}>
        {cost}
      </p>
    </div>
  );
}

function reasonOf({ conflicts, theirs }: Merge, field: Field): string {
  if (conflicts.includes(field)) return texts.both;
  return theirs.includes(field) ? texts.onlyTheirs : texts.onlyMine;
}
