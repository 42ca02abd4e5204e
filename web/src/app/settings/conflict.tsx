// Two saved: the second sees what the first changed, and chooses entry by entry. Nothing is lost on the way.

import { useState } from 'react';
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
  const first = (field: Field): Side => (difference.theirs.includes(field) ? 'theirs' : 'mine');
  const [choice, setChoice] = useState<Partial<Record<Field, Side>>>({});
  const sideOf = (field: Field) => choice[field] ?? first(field);
  const chosen = Object.fromEntries(fields.map((field) => [field, sideOf(field)]));
  return (
    <>
      <Heading slot="title">{texts.title}</Heading>
      <p>{texts.lead(who ?? settingsTexts.bySystem, formatTime(when), version)}</p>
      {fields.length === 0 && <p>{texts.same}</p>}
      <ul className="conflicts">
        {fields.map((field) => (
          <li key={field} data-conflict={field}>
            <p className="conflict-field">
              <strong>{fieldName(field)}</strong>{' '}
              <span className="hint">{reasonOf(difference, field)}</span>
            </p>
            <p className="hint">
              {texts.before}:{' '}
              <Value
                draft={base}
                field={field}
                other={changes(base, mine).includes(field) ? mine : their}
              />
            </p>
            <RadioGroup
              className="sides"
              aria-label={texts.choose(fieldName(field))}
              value={sideOf(field)}
              onChange={(side) => setChoice({ ...choice, [field]: side as Side })}
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
        ))}
      </ul>
      <div className="dialog-actions">
        <Button
          className="button button-main"
          onPress={() => save(merged(mine, their, chosen))}
          autoFocus
        >
          {texts.save}
        </Button>
        <Button className="button" onPress={() => save(mine)}>
          {texts.keepMine}
        </Button>
        <Button className="button" onPress={takeTheirs}>
          {texts.takeTheirs}
        </Button>
        <Button className="button button-plain" onPress={later}>
          {texts.later}
        </Button>
      </div>
    </>
  );
}

function reasonOf({ conflicts, theirs }: Merge, field: Field): string {
  if (conflicts.includes(field)) return texts.both;
  return theirs.includes(field) ? texts.onlyTheirs : texts.onlyMine;
}
