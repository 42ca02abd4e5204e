// The numbers of the full rule, folded away: what is left empty is the preset's.

import {
  Button,
  Disclosure,
  DisclosurePanel,
  Input,
  Label,
  NumberField,
} from 'react-aria-components';
import { settingsTexts } from '../../texts/settings.js';
import { NUMBERS } from './draft.js';
import { useForm, useWrong, WrongAt } from './form.js';

const texts = settingsTexts.rule;

export function FullNumbersFields() {
  const { wrong } = useForm();
  const isWrong = wrong?.field.startsWith('rule.') ?? false;
  return (
    <Disclosure className="disclosure" defaultExpanded={isWrong} key={String(isWrong)}>
      <Button slot="trigger" className="button button-plain disclosure-button">
        <span className="disclosure-mark" aria-hidden="true" />
        {texts.fine}
      </Button>
      <DisclosurePanel>
        <p className="hint">{texts.fineHint}</p>
        <div className="numbers">
          {NUMBERS.map((name) => (
            <NumberOf key={name} name={name} />
          ))}
        </div>
      </DisclosurePanel>
    </Disclosure>
  );
}

function NumberOf({ name }: { name: (typeof NUMBERS)[number] }) {
  const { mine, edit, readOnly } = useForm();
  const { isWrong, ...attributes } = useWrong(`rule.${name}`);
  const [label, hint] = texts.numbers[name];
  const change = (value: number) => {
    const { [name]: _, ...rest } = mine.full;
    edit({ full: Number.isNaN(value) ? rest : { ...rest, [name]: value } });
  };
  return (
    <NumberField
      className="field"
      value={mine.full[name] ?? Number.NaN}
      onChange={change}
      isDisabled={readOnly}
      isInvalid={isWrong}
      formatOptions={{ maximumFractionDigits: 10 }}
    >
      <Label>{label}</Label>
      <Input placeholder={texts.asPreset} {...attributes} />
      {hint && <p className="hint">{hint}</p>}
      <WrongAt field={`rule.${name}`} />
    </NumberField>
  );
}
