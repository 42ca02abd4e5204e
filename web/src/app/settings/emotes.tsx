// Which emotes can make a moment, and which viewers are offered.

import { Button, Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components';
import { emoteName } from '../../emote-names.js';
import { settingsTexts } from '../../texts/settings.js';
import { Emote } from '../emotes/emote.js';
import { EmoteSet } from '../emotes/emote-set.js';
import { PickerButton } from '../emotes/picker-button.js';
import { Section, useForm, useWrong, WrongAt } from './form.js';

export function AllowedSection() {
  const { mine, edit, pictures, readOnly } = useForm();
  const { isWrong: _, ...attributes } = useWrong('allowed_emotes');
  const texts = settingsTexts.allowed;
  return (
    <Section id="allowed" title={texts.title}>
      <div {...attributes} tabIndex={-1}>
        <EmoteSet
          {...texts}
          label={texts.title}
          value={mine.allowed}
          change={(allowed) => edit({ allowed })}
          first={mine.featured}
          pictures={pictures}
          readOnly={readOnly}
        />
      </div>
      <WrongAt field="allowed_emotes" />
    </Section>
  );
}

export function PaletteSection() {
  const { mine, edit, pictures, readOnly } = useForm();
  const { isWrong: _, ...attributes } = useWrong('palette.accepted_emotes');
  const texts = settingsTexts.palette;
  return (
    <Section id="palette" title={texts.title}>
      <p className="hint">{texts.hint}</p>
      <Buttons />
      <WrongAt field="palette.featured" />
      <h3 id="accepted">{texts.accepted}</h3>
      <div {...attributes} tabIndex={-1}>
        <EmoteSet
          label={texts.accepted}
          all={texts.acceptedAll}
          some={texts.acceptedSome}
          none={texts.acceptedNone}
          add={texts.acceptedAdd}
          pickerTitle={texts.acceptedTitle}
          value={mine.accepted}
          change={(accepted) => edit({ accepted })}
          first={[]}
          pictures={pictures}
          readOnly={readOnly}
        />
      </div>
      <WrongAt field="palette.accepted_emotes" />
    </Section>
  );
}

function Buttons() {
  const { mine, edit, pictures, readOnly } = useForm();
  const texts = settingsTexts.palette;
  const { featured } = mine;
  const { isWrong: _, ...attributes } = useWrong('palette.featured');
  const toggle = (emote: string, chosen: boolean) => {
    edit({ featured: chosen ? [...featured, emote] : featured.filter((other) => other !== emote) });
  };
  const move = (index: number, to: number) => {
    const rest = featured.toSpliced(index, 1);
    edit({ featured: rest.toSpliced(to, 0, featured[index]!) });
  };
  const act = (index: number, action: string) => {
    if (action === 'remove') toggle(featured[index]!, false);
    else move(index, action === 'first' ? 0 : index + (action === 'later' ? 1 : -1));
  };
  return (
    <div className="chips" role="group" aria-label={texts.list} tabIndex={-1} {...attributes}>
      {featured.map((emote, index) => (
        <MenuTrigger key={emote}>
          <Button
            className="chip"
            isDisabled={readOnly}
            aria-label={`${emoteName(emote)}, ${index + 1} of ${featured.length}`}
          >
            <Emote emote={emote} pictures={pictures} />
            {index < 9 && (
              <span className="chip-key" aria-hidden="true">
                {index + 1}
              </span>
            )}
          </Button>
          <Popover className="popover" containerPadding={10}>
            <Menu className="menu" onAction={(action) => act(index, String(action))}>
              {index > 1 && <MenuItem id="first">{texts.first}</MenuItem>}
              {index > 0 && <MenuItem id="earlier">{texts.earlier}</MenuItem>}
              {index < featured.length - 1 && <MenuItem id="later">{texts.later}</MenuItem>}
              <MenuItem id="remove">{texts.remove}</MenuItem>
            </Menu>
          </Popover>
        </MenuTrigger>
      ))}
      {!readOnly && (
        <PickerButton
          words={texts.add}
          title={texts.pickerTitle}
          chosen={featured}
          pictures={pictures}
          toggle={toggle}
        />
      )}
    </div>
  );
}
