// What makes a moment: the rule that adapts, or system A's plain threshold.

import { Radio, RadioGroup } from 'react-aria-components';
import type { Preset } from '../../api/documents.js';
import { settingsTexts } from '../../texts/settings.js';
import type { Draft } from './draft.js';
import { Section, useForm } from './form.js';
import { FullNumbersFields } from './full-numbers.js';
import { PlainFields } from './plain-fields.js';

const texts = settingsTexts.rule;
const PRESETS: Preset[] = ['easy', 'normal', 'hard'];

export function RuleSection() {
  const { mine, edit, readOnly } = useForm();
  return (
    <Section id="rule" title={texts.title}>
      <RadioGroup
        className="choices"
        aria-label={texts.kind}
        value={mine.kind}
        onChange={(kind) => edit({ kind: kind as Draft['kind'] })}
        isDisabled={readOnly}
      >
        <Choice value="full" words={texts.full} hint={texts.fullHint} />
        <Choice value="plain" words={texts.plain} hint={texts.plainHint} />
      </RadioGroup>
      {mine.kind === 'full' ? <FullFields /> : <PlainFields />}
    </Section>
  );
}

function Choice({ value, words, hint }: { value: string; words: string; hint: string }) {
  return (
    <Radio value={value} className="choice-card">
      <span className="choice-mark" aria-hidden="true" />
      <span>
        <strong>{words}</strong>
        <span className="hint">{hint}</span>
      </span>
    </Radio>
  );
}

function FullFields() {
  const { mine, edit, readOnly } = useForm();
  const preset = mine.full.preset;
  return (
    <div className="fields">
      <RadioGroup
        className="field"
        value={preset ?? ''}
        onChange={(chosen) => edit({ full: { preset: chosen as Preset } })}
        isDisabled={readOnly}
        aria-labelledby="presets"
        aria-describedby="preset-hint"
      >
        <span className="label" id="presets">
          {texts.sensitivity}
        </span>
        <div className="segments">
          {PRESETS.map((name) => (
            <Radio key={name} value={name} className="segment">
              {texts.presets[name][0]}
            </Radio>
          ))}
        </div>
      </RadioGroup>
      <p className="hint" id="preset-hint">
        {preset ? texts.presets[preset][1] : settingsTexts.customised}
      </p>
      <FullNumbersFields />
    </div>
  );
}
