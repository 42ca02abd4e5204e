// A choice between every emote and some, with the chosen ones to be taken away by a press.

import { Button, Radio, RadioGroup } from 'react-aria-components';
import { emoteName } from '../../emote-names.js';
import { settingsTexts } from '../../texts/settings.js';
import { Emote } from './emote.js';
import { PickerButton } from './picker-button.js';

interface EmoteSetProps {
  /** null: every emote. */
  value: string[] | null;
  change: (value: string[] | null) => void;
  label: string;
  all: string;
  some: string;
  none: string;
  add: string;
  pickerTitle: string;
  pictures: ReadonlyMap<string, string>;
  readOnly: boolean;
  /** What a list begins with that was never chosen. */
  first: string[];
}

export function EmoteSet(props: EmoteSetProps) {
  const { value, change, label, all, some, none, pictures, readOnly } = props;
  const toggle = (emote: string, chosen: boolean) => {
    const others = (value ?? []).filter((other) => other !== emote);
    change(chosen ? [...others, emote] : others);
  };
  return (
    <div className="fields">
      <RadioGroup
        className="field"
        aria-label={label}
        value={value ? 'some' : 'all'}
        onChange={(choice) => change(choice === 'all' ? null : props.first)}
        isDisabled={readOnly}
      >
        <div className="segments">
          <Radio value="all" className="segment">
            {all}
          </Radio>
          <Radio value="some" className="segment">
            {some}
          </Radio>
        </div>
      </RadioGroup>
      {value && (
        <div className="chips" role="group" aria-label={some}>
          {value.map((emote) => (
            <Button
              key={emote}
              className="chip"
              aria-label={`${settingsTexts.palette.remove} ${emoteName(emote)}`}
              onPress={() => toggle(emote, false)}
              isDisabled={readOnly}
            >
              <Emote emote={emote} pictures={pictures} />
              <span className="chip-remove" aria-hidden="true">
                ✕
              </span>
            </Button>
          ))}
          {value.length === 0 && <p className="hint">{none}</p>}
          {!readOnly && (
            <PickerButton
              words={props.add}
              title={props.pickerTitle}
              chosen={value}
              pictures={pictures}
              toggle={toggle}
            />
          )}
        </div>
      )}
    </div>
  );
}
