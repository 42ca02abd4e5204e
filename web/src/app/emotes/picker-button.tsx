// A button that opens the emoji picker; the picker with its list comes when it is first opened.

import { lazy, Suspense } from 'react';
import { Button, Dialog, DialogTrigger, Popover } from 'react-aria-components';
import { Loading } from '../status.js';

const Picker = lazy(() =>
  import('./picker.js').then(({ Picker: component }) => ({ default: component })),
);

interface PickerButtonProps {
  words: string;
  /** Name of the dialog. */
  title: string;
  chosen: readonly string[];
  pictures: ReadonlyMap<string, string>;
  toggle: (emote: string, chosen: boolean) => void;
  isDisabled?: boolean;
}

export function PickerButton({ words, title, isDisabled = false, ...picker }: PickerButtonProps) {
  return (
    <DialogTrigger>
      <Button className="button" isDisabled={isDisabled}>
        <span aria-hidden="true">+</span> {words}
      </Button>
      <Popover className="popover" placement="bottom start" containerPadding={10}>
        <Dialog className="picker" aria-label={title}>
          <Suspense fallback={<Loading />}>
            <Picker {...picker} />
          </Suspense>
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}
