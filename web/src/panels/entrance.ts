// In front of the show: the place in line while every edge is full, and the devices that stand in the way of one more.

import type { ConnectionState, Device } from '@emostream/viewer';
import { formatCount, part } from '../page.js';
import { sinceWords } from '../since.js';
import { entranceTexts as texts } from '../texts/entrance.js';

interface EntranceActions {
  endDevice: (deviceId: string) => void;
  again: () => void;
}

export class Entrance {
  readonly #screen = part('entrance');
  readonly #title = part('entrance-title');
  readonly #body = part('entrance-body');
  readonly #actions: EntranceActions;
  #shown: 'line' | 'devices' | undefined;
  /** The devices on the screen. */
  #told = '';
  /** Where one began to wait. */
  #firstPlace = 1;

  constructor(actions: EntranceActions) {
    this.#actions = actions;
  }

  show(state: ConnectionState): void {
    switch (state.phase) {
      case 'in-line':
        return this.#line(state.place, state.waiting);
      case 'device-limit':
        return this.#devices(state.devices);
      // The question whether there is room now changes nothing on the screen until it is answered.
      case 'connecting':
        return this.#shown === 'devices' ? this.#wait() : undefined;
      default:
        return this.#leave();
    }
  }

  #line(place: number, waiting: number): void {
    const first = this.#enter('line', texts.lineTitle(formatCount(place)));
    if (first) {
      this.#firstPlace = Math.max(1, place);
      const facts = paragraph('entrance-facts', '');
      // Read aloud when it changes: the number is what somebody waits for.
      facts.setAttribute('role', 'status');
      const rest = paragraph('entrance-note', texts.lineNote);
      this.#body.replaceChildren(bar(), facts, rest);
    }
    const facts = this.#body.querySelector('.entrance-facts');
    const words = texts.lineFacts(place, formatCount(place), formatCount(waiting));
    if (facts && facts.textContent !== words) facts.textContent = words;
    const shown = this.#body.querySelector<HTMLElement>('.entrance-bar > span');
    const ahead = Math.min(1, (place - 1) / this.#firstPlace);
    // Set by script, so the page's policy needs no inline styles.
    shown?.style.setProperty('--done', String(1 - ahead));
  }

  #devices(devices: Device[]): void {
    const told = JSON.stringify(devices);
    // Asked again in vain: whoever is about to choose goes on undisturbed.
    if (this.#shown === 'devices' && this.#told === told && !this.#isBusy) return;
    this.#told = told;
    this.#enter('devices', texts.devicesTitle(devices.length));
    const list = document.createElement('ul');
    list.className = 'device-list';
    list.append(...devices.map((device) => this.#device(device)));
    const again = button('button', texts.again, () => this.#actions.again());
    const note = paragraph('entrance-note', texts.devicesNote);
    this.#body.replaceChildren(paragraph('entrance-facts', texts.devicesFacts), list, again, note);
    delete this.#screen.dataset['busy'];
  }

  #device(device: Device): HTMLLIElement {
    const item = document.createElement('li');
    item.dataset['testid'] = 'device';
    const name = device.name || texts.deviceUnnamed;
    const words = document.createElement('div');
    const about = texts.deviceAbout(sinceWords(device.since), device.edge);
    words.append(paragraph('device-name', name), paragraph('note', about));
    const end = button('button button-main', texts.endDevice, () => {
      this.#actions.endDevice(device.device_id);
    });
    end.setAttribute('aria-label', texts.endDeviceSpoken(name));
    item.append(words, end);
    return item;
  }

  get #isBusy(): boolean {
    return this.#screen.dataset['busy'] !== undefined;
  }

  /** An answer is on its way: nothing can be chosen twice. */
  #wait(): void {
    this.#screen.dataset['busy'] = '';
    for (const one of this.#body.querySelectorAll('button')) {
      one.setAttribute('aria-disabled', 'true');
      one.disabled = true;
    }
  }

  /** Whether the screen was another before. The heading takes the focus then, so that it is read aloud. */
  #enter(screen: 'line' | 'devices', title: string): boolean {
    const first = this.#shown !== screen;
    this.#shown = screen;
    this.#title.textContent = title;
    if (first) {
      document.body.dataset['entrance'] = screen;
      this.#screen.hidden = false;
      this.#title.focus();
    }
    return first;
  }

  #leave(): void {
    if (this.#shown === undefined) return;
    this.#shown = undefined;
    delete document.body.dataset['entrance'];
    this.#screen.hidden = true;
    this.#body.replaceChildren();
    delete this.#screen.dataset['busy'];
  }
}

function bar(): HTMLElement {
  const outer = document.createElement('div');
  outer.className = 'entrance-bar';
  outer.setAttribute('aria-hidden', 'true');
  outer.append(document.createElement('span'));
  return outer;
}

function paragraph(className: string, text: string): HTMLParagraphElement {
  const element = document.createElement('p');
  element.className = className;
  element.textContent = text;
  return element;
}

function button(className: string, text: string, pressed: () => void): HTMLButtonElement {
  const element = document.createElement('button');
  element.type = 'button';
  element.className = className;
  element.textContent = text;
  element.addEventListener('click', pressed);
  return element;
}
