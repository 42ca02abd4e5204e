// Files of the moments for editors and players, shifted to where the recording begins.

import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { exportAddress, FORMATS, parseOffset, type Format } from '../../api/moments.js';
import { readChannel } from '../../api/settings.js';
import { momentsTexts } from '../../texts/moments.js';

const texts = momentsTexts.export;
/** Formats that name times of day where there is no place on a recording. */
const WITHOUT_RECORDING: Format[] = ['csv', 'json'];
const RATES = ['23.976', '24', '25', '29.97', '30', '50', '59.94', '60'];

export function ExportSection({
  channel,
  fromMs,
}: {
  channel: string;
  fromMs: number | undefined;
}) {
  const [began, setBegan] = useState('');
  const [offset, setOffset] = useState('');
  const [fps, setFps] = useState('25');
  const facts = useQuery({ queryKey: ['channel', channel], queryFn: () => readChannel(channel) });
  const needsBegin = began === '' && facts.data?.recording_started_at === null;
  const offsetMs = parseOffset(offset);
  const startedAt = began === '' ? undefined : new Date(began).toISOString();
  const choice = { fromMs, offsetMs: offsetMs ?? 0, recordingStartedAt: startedAt, fps };
  return (
    <section className="panel section" aria-labelledby="export">
      <h2 id="export">{texts.title}</h2>
      <p className="hint">{texts.lead}</p>
      <div className="numbers">
        <div className="field">
          <label htmlFor="began">{texts.began}</label>
          <input
            id="began"
            type="datetime-local"
            step="1"
            value={began}
            onChange={(event) => setBegan(event.target.value)}
            aria-describedby="began-hint"
          />
          <p className="hint" id="began-hint">
            {needsBegin ? texts.beganNeeded : texts.beganHint}
          </p>
        </div>
        <div className="field">
          <label htmlFor="offset">{texts.offset}</label>
          <input
            id="offset"
            value={offset}
            onChange={(event) => setOffset(event.target.value)}
            placeholder="0"
            aria-invalid={offsetMs === undefined}
            aria-describedby="offset-hint offset-wrong"
          />
          <p className="hint" id="offset-hint">
            {texts.offsetHint}
          </p>
          <p className="wrong" id="offset-wrong">
            {offsetMs === undefined ? texts.offsetWrong : ''}
          </p>
        </div>
        <div className="field">
          <label htmlFor="fps">{texts.fps}</label>
          <select
            aria-describedby="fps-hint"
            id="fps"
            value={fps}
            onChange={(event) => setFps(event.target.value)}
          >
            {RATES.map((rate) => (
              <option key={rate}>{rate}</option>
            ))}
          </select>
          <p className="hint" id="fps-hint">
            {texts.fpsHint}
          </p>
        </div>
      </div>
      <ul className="downloads">
        {FORMATS.map((format) => {
          const [name, what] = texts.formats[format] ?? [format, ''];
          const may = offsetMs !== undefined && (!needsBegin || WITHOUT_RECORDING.includes(format));
          return (
            <li key={format}>
              <a
                className="button"
                href={may ? exportAddress(channel, format, choice) : undefined}
                role="link"
                aria-disabled={!may}
                aria-label={texts.download(name)}
                download
              >
                {name}
              </a>
              <span className="hint">{what}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
