// System A's rule: a threshold by slider and by number, as a share of an interval or as a count in a window.

import {
  Input,
  Label,
  NumberField,
  Radio,
  RadioGroup,
  Slider,
  SliderThumb,
  SliderTrack,
} from 'react-aria-components';
import { settingsTexts } from '../../texts/settings.js';
import { useForm, useWrong, WrongAt } from './form.js';

const texts = settingsTexts.rule;

/** What a threshold begins with after its measure was changed: system A's own examples. */
const SHARE_AT_FIRST = 0.5;
const COUNT_AT_FIRST = 10;
/** End of the slider for counts; larger ones are typed. */
const COUNT_MAX = 200;

export function PlainFields() {
  const { mine, edit, readOnly } = useForm();
  const isShare = !(mine.threshold >= 1);
  const { isWrong, ...interval } = useWrong('plain.interval');
  const change = (measure: string) => {
    if ((measure === 'share') === isShare) return;
    edit({ threshold: measure === 'share' ? SHARE_AT_FIRST : COUNT_AT_FIRST });
  };
  return (
    <div className="fields">
      <RadioGroup
        className="field"
        value={isShare ? 'share' : 'count'}
        onChange={change}
        isDisabled={readOnly}
        aria-labelledby="measure"
      >
        <span className="label" id="measure">
          {texts.measure}
        </span>
        <div className="segments">
          <Radio value="share" className="segment">
            {texts.share}
          </Radio>
          <Radio value="count" className="segment">
            {texts.count}
          </Radio>
        </div>
      </RadioGroup>
      <Threshold isShare={isShare} />
      <NumberField
        className="field field-short"
        value={mine.interval}
        onChange={(value) => edit({ interval: value })}
        minValue={1}
        isDisabled={readOnly}
        isInvalid={isWrong}
      >
        <Label>{texts.interval}</Label>
        <Input {...interval} />
        <p className="hint">{isShare ? texts.intervalHint : texts.intervalUnused}</p>
        <WrongAt field="plain.interval" />
      </NumberField>
    </div>
  );
}

function Threshold({ isShare }: { isShare: boolean }) {
  const { mine, edit, readOnly } = useForm();
  const { isWrong, ...attributes } = useWrong('plain.threshold');
  const format: Intl.NumberFormatOptions = isShare
    ? { style: 'percent', maximumFractionDigits: 2 }
    : { maximumFractionDigits: 3 };
  const change = (threshold: number) => edit({ threshold });
  const slider = isShare
    ? { minValue: 0.01, maxValue: 0.99, step: 0.01 }
    : { minValue: 1, maxValue: COUNT_MAX, step: 1 };
  const range = isShare ? { minValue: 0.0001, maxValue: 0.9999 } : { minValue: 1 };
  return (
    <div className="field">
      <div className="threshold">
        <Slider
          className="slider"
          aria-label={texts.threshold}
          value={Math.min(mine.threshold || slider.minValue, slider.maxValue)}
          onChange={change}
          isDisabled={readOnly}
          formatOptions={format}
          {...slider}
        >
          <SliderTrack className="slider-track">
            {({ state }) => (
              <>
                <meter
                  className="slider-fill"
                  aria-hidden="true"
                  value={state.getThumbPercent(0)}
                  max={1}
                />
                <SliderThumb className="slider-thumb" />
              </>
            )}
          </SliderTrack>
        </Slider>
        <NumberField
          className="field field-number"
          key={String(isShare)}
          value={mine.threshold}
          onChange={change}
          isDisabled={readOnly}
          isInvalid={isWrong}
          formatOptions={format}
          {...range}
        >
          <Label>{texts.threshold}</Label>
          <Input {...attributes} />
        </NumberField>
      </div>
      <p className="hint">
        {isShare ? texts.thresholdShareHint(mine.interval) : texts.thresholdCountHint}
      </p>
      <WrongAt field="plain.threshold" />
    </div>
  );
}
