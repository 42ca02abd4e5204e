// The newest moments, and honest marks where some are missing.

import type { Gap, Moment } from '@emostream/viewer';
import { emoteName } from '../emote-names.js';
import { formatClock, formatCount, formatStrength, part } from '../page.js';
import { showFace, type Pictures } from '../palette.js';
import { liveTexts } from '../texts/live.js';

const texts = liveTexts.moment;
const SHOWN_MAX = 20;
/** A sequence number is event time in milliseconds times this, plus an ordinal. */
const SEQ_PER_MS = 256;

export class MomentsPanel {
  readonly #list = part('moments');
  readonly #quiet = part('moments-quiet');
  #pictures: Pictures = new Map();

  /** Puts a moment in its place; one that is there already stays as it is. */
  add(moment: Moment, entrance: 'new' | 'past'): void {
    if (this.#find(moment.seq)) return;
    const made = momentItem(moment);
    this.#face(made);
    const item = this.#insert(moment.seq, made);
    if (item && entrance === 'new') item.classList.add('fresh');
  }

  /** Pictures of the channel's own emotes, by name. */
  showPictures(pictures: Pictures): void {
    this.#pictures = pictures;
    for (const item of this.#list.querySelectorAll<HTMLElement>('.moment')) this.#face(item);
  }

  /** Says that moments between two sequence numbers are lost. */
  addGap({ from, to }: Gap): void {
    const item = document.createElement('li');
    item.className = 'missing';
    const clock = (seq: number) => formatClock(seq / SEQ_PER_MS);
    item.textContent = texts.missing(clock(from), clock(to));
    this.#insert(to, item);
  }

  #face(item: HTMLElement): void {
    const face = item.querySelector('.moment-emote');
    if (face) showFace(face, item.dataset['emote'] ?? '', this.#pictures);
  }

  #find(seq: number): Element | null {
    return this.#list.querySelector(`[data-testid="moment"][data-seq="${seq}"]`);
  }

  /** Newest first; undefined when it is older than all that are shown. */
  #insert(seq: number, item: HTMLLIElement): HTMLLIElement | undefined {
    item.dataset['seq'] = String(seq);
    const older = [...this.#list.children].find((known) => seqOf(known) < seq) ?? null;
    if (!older && this.#list.children.length >= SHOWN_MAX) return undefined;
    this.#list.insertBefore(item, older);
    while (this.#list.children.length > SHOWN_MAX) this.#list.lastElementChild?.remove();
    this.#list.hidden = false;
    this.#quiet.hidden = true;
    return item;
  }
}

function seqOf(item: Element): number {
  return Number((item as HTMLElement).dataset['seq']);
}

function momentItem(moment: Moment): HTMLLIElement {
  const item = document.createElement('li');
  item.className = 'moment';
  item.dataset['testid'] = 'moment';
  item.dataset['emote'] = moment.emote;
  item.dataset['count'] = String(moment.count);

  const emote = span('moment-emote emote', moment.emote);
  emote.setAttribute('aria-hidden', 'true');

  const what = document.createElement('p');
  what.className = 'moment-what';
  const count = document.createElement('strong');
  count.textContent = formatCount(moment.count);
  what.append(count, ` ${emoteName(moment.emote)}`);

  const meta = document.createElement('p');
  meta.className = 'moment-meta';
  const time = document.createElement('time');
  time.dateTime = moment.window_start;
  time.textContent = formatClock(Date.parse(moment.window_start));
  meta.append(time);
  if (moment.reactors > 0) {
    meta.append(` · ${texts.people(moment.reactors, formatCount(moment.reactors))}`);
  }

  const body = document.createElement('div');
  body.append(what, meta);
  item.append(emote, body, strengthOf(moment));
  return item;
}

/** Strength as a number and as up to five filled marks, each twice the one before. */
function strengthOf({ strength, rule }: Pick<Moment, 'strength' | 'rule'>): HTMLElement {
  const box = span('strength', '');
  box.title = rule === 'full' ? texts.significanceHint : texts.strengthHint;
  const value = span('strength-value', formatStrength(strength, rule));
  const level = Math.min(5, Math.max(1, 1 + Math.floor(Math.log2(Math.max(1, strength)) * 1.5)));
  const marks = span('strength-marks', '');
  marks.dataset['level'] = String(level);
  marks.setAttribute('aria-hidden', 'true');
  for (let mark = 1; mark <= 5; mark += 1) marks.append(span(mark <= level ? 'on' : '', ''));
  box.append(span('visually-hidden', `${texts.strength} `), value, marks);
  return box;
}

function span(className: string, text: string): HTMLSpanElement {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}
