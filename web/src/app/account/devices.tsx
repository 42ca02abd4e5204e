// The devices of one's own account that are connected, each of which can be ended from here.

import type { Device } from '@emostream/viewer';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { endDevice, readDevices } from '../../api/accounts.js';
import type { DeviceList } from '../../api/documents.js';
import { Problem } from '../../api/http.js';
import { deviceId } from '../../device.js';
import { notify } from '../../notices.js';
import { sinceWords } from '../../since.js';
import { accountTexts } from '../../texts/account.js';
import { Question } from '../dialog.js';
import { Failed, Loading, wordsOf } from '../status.js';
import { useIsChanging } from './use-change.js';

const texts = accountTexts.devices;

/** Devices come and go elsewhere. */
const REFRESH_MS = 5_000;

const KEY = ['me', 'devices'];

export function DevicesSection() {
  const isChanging = useIsChanging();
  const heading = useRef<HTMLHeadingElement>(null);
  const [asked, setAsked] = useState<Device>();
  const devices = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => readDevices(signal),
    refetchInterval: REFRESH_MS,
    enabled: !isChanging,
  });
  const close = (ended: boolean) => {
    setAsked(undefined);
    // Its button is gone: one goes on at the head of the list.
    if (ended) setTimeout(() => heading.current?.focus());
  };
  return (
    <section className="panel section" aria-labelledby="devices">
      <h2 id="devices" tabIndex={-1} ref={heading}>
        {texts.title}
      </h2>
      {devices.isPending && <Loading />}
      {devices.isError && <Failed error={devices.error} again={() => void devices.refetch()} />}
      {devices.data && <List list={devices.data} end={setAsked} />}
      {asked && <EndQuestion device={asked} close={close} />}
    </section>
  );
}

interface ListProps {
  list: DeviceList;
  end: (device: Device) => void;
}

function List({ list: { items, devices_max: most }, end }: ListProps) {
  return (
    <>
      {/* Read aloud when it changes. */}
      <p className="hint" role="status">
        {texts.used(items.length, most)}
      </p>
      {items.length === 0 && <p className="nothing">{texts.none}</p>}
      {items.length > 0 && (
        <ul className="device-list">
          {items.map((device) => (
            <DeviceItem key={device.device_id} device={device} end={() => end(device)} />
          ))}
        </ul>
      )}
    </>
  );
}

function DeviceItem({ device, end }: { device: Device; end: () => void }) {
  const isHere = device.device_id === deviceId();
  const name = nameOf(device);
  const place = texts.place(device.cluster, device.edge);
  return (
    <li data-testid="device" data-connected={device.connected ? '' : undefined}>
      <div>
        <p className="device-name">
          {name}
          {isHere && <span className="badge">{texts.here}</span>}
        </p>
        <p className="hint">
          <span className="device-state">{device.connected ? texts.connected : texts.coming}</span>
          {' · '}
          {texts.about(sinceWords(device.since), place)}
        </p>
      </div>
      <button type="button" className="button" onClick={end} aria-label={texts.endSpoken(name)}>
        {texts.end}
      </button>
    </li>
  );
}

function nameOf({ name }: Device): string {
  return name || texts.unnamed;
}

interface EndQuestionProps {
  device: Device;
  close: (ended: boolean) => void;
}

function EndQuestion({ device, close }: EndQuestionProps) {
  const queries = useQueryClient();
  const name = nameOf(device);
  const finish = async (said: string) => {
    await queries.invalidateQueries({ queryKey: KEY });
    close(true);
    notify(said, 'good');
  };
  const end = useMutation({
    mutationFn: () => endDevice(device.device_id),
    onSuccess: () => finish(texts.ended(name)),
    onError: (error) => {
      if (error instanceof Problem && error.name === 'device-not-found') {
        return finish(texts.gone(name));
      }
      return undefined;
    },
  });
  const failure = end.error && !end.isPending ? wordsOf(end.error) : '';
  return (
    <Question title={texts.confirm.title(name)} cancel={() => close(false)}>
      <p>{texts.confirm.lead}</p>
      <p className="hint">{texts.confirm.again}</p>
      <div className="dialog-actions">
        <p className="wrong" role="alert">
          {failure}
        </p>
        <button
          type="button"
          className="button button-main"
          onClick={() => end.isPending || end.mutate()}
          aria-disabled={end.isPending}
        >
          {end.isPending ? texts.confirm.ending : texts.end}
        </button>
        <button
          type="button"
          className="button button-plain"
          onClick={() => close(false)}
          data-first
        >
          {texts.confirm.keep}
        </button>
      </div>
    </Question>
  );
}
