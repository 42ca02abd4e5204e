// The tap buttons: one per emote of the palette, answering the finger at once and the server honestly.

import type { Counts, ReactionError } from '@emostream/viewer';
import { emoteName } from '../emote-names.js';
import { formatCount, part } from '../page.js';
import { showFace, type Pictures } from '../palette.js';
import { liveTexts } from '../texts/live.js';

interface DeckActions {
  react: (emote: string) => Promise<string>;
  launch: (emote: string, clientX: number, clientY: number) => void;
  refused: (emote: string) => void;
}

/** Emotes with a digit key. */
const KEYED = 9;
/** Buttons of a folded deck: full rows on a desk and on a phone. With more emotes, the last one unfolds the rest. */
const FOLDED = 12;
/** How long a button shows how its tap ended. */
const OUTCOME_MS = 900;
const REFUSAL_MS = 6_000;

export class Deck {
  readonly #taps = part('taps');
  readonly #note = part('deck-note');
  readonly #refusal = part('refusal');
  readonly #actions: DeckActions;
  #palette: readonly string[] = [];
  #pictures: Pictures = new Map();
  #counted = 0;
  #refusalTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(actions: DeckActions) {
    this.#actions = actions;
    const keys = matchMedia('(hover: hover)').matches;
    this.#note.textContent = keys ? liveTexts.tapOrPress : liveTexts.tap;
    document.addEventListener('keydown', (event) => this.#pressed(event));
  }

  /** Shows the palette; an unchanged one keeps its buttons, and with them the focus. */
  showPalette(palette: readonly string[]): void {
    if (palette.join(' ') === this.#palette.join(' ')) return;
    this.#palette = [...palette];
    const buttons = palette.map((emote, index) => this.#button(emote, index));
    this.#taps.replaceChildren(...buttons);
    if (palette.length > FOLDED) this.#fold(buttons.slice(FOLDED - 1));
  }

  /** Pictures of the channel's own emotes, by name. */
  showPictures(pictures: Pictures): void {
    this.#pictures = pictures;
    for (const button of this.#buttons()) this.#picture(button);
  }

  /** Counts of the newest window, beneath each emote. */
  showCounts(counts: Counts): void {
    for (const button of this.#buttons()) {
      const count = counts[button.dataset['emote'] ?? ''] ?? 0;
      const label = button.querySelector('.tap-count');
      if (label) label.textContent = count > 0 ? formatCount(count) : '';
    }
  }

  /** The stream has ended: no tap can be counted. */
  close(): void {
    for (const button of this.#buttons()) button.disabled = true;
    this.#note.textContent = liveTexts.streamEnded;
  }

  #buttons(): NodeListOf<HTMLButtonElement> {
    return this.#taps.querySelectorAll('button[data-emote]');
  }

  #button(emote: string, index: number): HTMLButtonElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'tap';
    button.dataset['testid'] = 'palette-button';
    button.dataset['emote'] = emote;
    button.setAttribute('aria-label', liveTexts.react(emoteName(emote)));
    button.append(hiddenSpan('tap-emote emote', emote), hiddenSpan('tap-count', ''));
    if (index < KEYED) {
      button.setAttribute('aria-keyshortcuts', String(index + 1));
      button.append(hiddenSpan('tap-key', String(index + 1)));
    }
    button.addEventListener('click', (event) => this.#tap(button, emote, event));
    this.#picture(button);
    return button;
  }

  #picture(button: HTMLButtonElement): void {
    const face = button.querySelector('.tap-emote');
    if (face) showFace(face, button.dataset['emote'] ?? '', this.#pictures);
  }

  #fold(rest: HTMLButtonElement[]): void {
    const more = document.createElement('button');
    more.type = 'button';
    more.className = 'tap tap-more';
    const show = (open: boolean) => {
      for (const button of rest) button.hidden = !open;
      more.textContent = open ? liveTexts.less : `+${rest.length}`;
      more.setAttribute('aria-label', open ? liveTexts.fewer : liveTexts.more(rest.length));
      more.setAttribute('aria-expanded', String(open));
    };
    more.addEventListener('click', () => show(more.getAttribute('aria-expanded') !== 'true'));
    show(false);
    this.#taps.append(more);
  }

  #pressed(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement;
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    const index = '123456789'.indexOf(event.key);
    if (event.key.length !== 1 || index < 0) return;
    [...this.#buttons()][index]?.click();
  }

  #tap(button: HTMLButtonElement, emote: string, event: MouseEvent): void {
    const box = button.getBoundingClientRect();
    // A click by keyboard has no position: the emote starts from the middle of its button.
    const byPointer = event.detail > 0;
    const x = byPointer ? event.clientX : box.left + box.width / 2;
    this.#actions.launch(emote, x, box.top);
    this.#mark(button, 'sending');
    const reaction = this.#actions.react(emote);
    reaction.then(
      () => this.#accepted(button),
      (error: ReactionError) => this.#refused(button, emote, error),
    );
  }

  #accepted(button: HTMLButtonElement): void {
    this.#counted += 1;
    this.#note.textContent = liveTexts.tapsCounted(this.#counted, formatCount(this.#counted));
    this.#mark(button, 'counted');
  }

  #refused(button: HTMLButtonElement, emote: string, error: ReactionError): void {
    this.#actions.refused(emote);
    this.#mark(button, 'failed');
    const reason = liveTexts.refusals[error.code] ?? liveTexts.serverSaid(error.message);
    this.#refusal.textContent = liveTexts.notCounted(emote, reason);
    clearTimeout(this.#refusalTimer);
    this.#refusalTimer = setTimeout(() => (this.#refusal.textContent = ''), REFUSAL_MS);
  }

  /** Shows how far the button's newest tap is; outcomes fade by themselves. */
  #mark(button: HTMLButtonElement, outcome: 'sending' | 'counted' | 'failed'): void {
    const serial = String(Number(button.dataset['serial'] ?? 0) + 1);
    button.dataset['serial'] = serial;
    button.dataset['outcome'] = outcome;
    if (outcome === 'sending') return;
    setTimeout(() => {
      if (button.dataset['serial'] === serial) delete button.dataset['outcome'];
    }, OUTCOME_MS);
  }
}

function hiddenSpan(className: string, text: string): HTMLSpanElement {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  element.setAttribute('aria-hidden', 'true');
  return element;
}
