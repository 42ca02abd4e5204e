// The last two minutes as heat: a row per leading emote, a column per window, moments marked above.

import { EMOTE_FONT } from '@emostream/viewer/layer';
import { emoteName } from '../emote-names.js';
import { formatCount, part } from '../page.js';
import { Picture } from '../picture.js';
import { liveTexts } from '../texts/live.js';
import { WINDOWS_KEPT, type WindowLedger } from '../window-ledger.js';

const texts = liveTexts.strip;
const ROWS = 5;
const LABEL_PX = 34;
const MARKS_PX = 12;
/** Below 1, so that quiet windows still show something. */
const HEAT_EXPONENT = 0.7;
const RAMP = ['--heat-0', '--heat-1', '--heat-2', '--heat-3', '--heat-4'];

export class HeatStrip {
  readonly #canvas = part<HTMLCanvasElement>('heat');
  readonly #peak = part('strip-peak');
  readonly #axisStart = part('axis-start');
  readonly #picture = new Picture(this.#canvas, (context, width, height) =>
    this.#draw(context, width, height),
  );
  readonly #momentStarts = new Set<number>();
  #ledger: WindowLedger | undefined;
  #images: ReadonlyMap<string, HTMLImageElement> = new Map();
  /** Start of the right-most column. */
  #newestMs = 0;

  /** Shows the ledger as of now: columns move on while nothing happens. */
  show(ledger: WindowLedger, serverNowMs: number): void {
    const newest = ledger.newest;
    if (!newest) return;
    this.#ledger = ledger;
    const { startMs, window_ms: windowMs } = newest;
    // A window is final shortly after its end: the newest complete one is the one before the current.
    const due = Math.floor((serverNowMs - startMs) / windowMs) - 2;
    this.#newestMs = startMs + Math.max(0, due) * windowMs;
    this.#describe(ledger, windowMs);
    this.#picture.redraw();
  }

  /** Pictures of the channel's own emotes, by name. */
  showPictures(pictures: ReadonlyMap<string, string>): void {
    this.#images = new Map(
      [...pictures].map(([emote, url]) => {
        const image = new Image();
        image.addEventListener('load', () => this.#picture.redraw());
        image.src = url;
        return [emote, image];
      }),
    );
  }

  markMoment(startMs: number): void {
    this.#momentStarts.add(startMs);
    for (const mark of this.#momentStarts) {
      if (this.#momentStarts.size <= WINDOWS_KEPT) break;
      this.#momentStarts.delete(mark);
    }
  }

  #describe(ledger: WindowLedger, windowMs: number): void {
    const peak = Math.max(...ledger.rows.map(({ total }) => total));
    const seconds = windowMs / 1000;
    this.#peak.textContent = texts.peak(formatCount(peak), seconds);
    this.#axisStart.textContent = texts.since(WINDOWS_KEPT * seconds);
    const names = ledger.leaders(3).map(emoteName);
    this.#canvas.setAttribute('aria-label', texts.spoken(names, formatCount(peak)));
  }

  #draw(context: CanvasRenderingContext2D, width: number, height: number): void {
    const ledger = this.#ledger;
    if (!ledger) return;
    const leaders = ledger.leaders(ROWS);
    const rowPx = (height - MARKS_PX) / ROWS;
    const columnPx = (width - LABEL_PX) / WINDOWS_KEPT;
    const ramp = RAMP.map((name) => this.#picture.color(name));
    const peak = Math.max(1, ...ledger.rows.flatMap(({ counts }) => Object.values(counts)));
    const windowMs = ledger.newest?.window_ms ?? 2000;
    const columnOf = (startMs: number) =>
      WINDOWS_KEPT - 1 - Math.round((this.#newestMs - startMs) / windowMs);
    const left = (column: number) => LABEL_PX + column * columnPx;

    context.font = `${Math.min(18, rowPx * 0.8)}px ${EMOTE_FONT}`;
    context.textBaseline = 'middle';
    context.fillStyle = this.#picture.color('--text');
    leaders.forEach((emote, row) => {
      const image = this.#images.get(emote);
      if (image?.complete && image.naturalWidth > 0) {
        const edge = Math.min(22, rowPx * 0.9);
        const scale = edge / Math.max(image.naturalWidth, image.naturalHeight);
        const [w, h] = [image.naturalWidth * scale, image.naturalHeight * scale];
        const middle = MARKS_PX + (row + 0.5) * rowPx;
        context.drawImage(image, (edge - w) / 2, middle - h / 2, w, h);
        return;
      }
      context.fillText(emote, 0, MARKS_PX + (row + 0.54) * rowPx, LABEL_PX - 8);
    });

    const cell = (column: number, row: number, color: string) => {
      context.fillStyle = color;
      const gapPx = columnPx > 6 ? 2 : 1;
      const [w, h] = [Math.max(1, columnPx - gapPx), rowPx - gapPx];
      context.beginPath();
      context.roundRect(left(column), MARKS_PX + row * rowPx, w, h, Math.min(3, w / 3));
      context.fill();
    };
    for (let row = 0; row < ROWS; row += 1) {
      for (let column = 0; column < WINDOWS_KEPT; column += 1) cell(column, row, ramp[0]!);
    }
    for (const { startMs, counts } of ledger.rows) {
      const column = columnOf(startMs);
      if (column < 0) continue;
      leaders.forEach((emote, row) => {
        const count = counts[emote] ?? 0;
        if (count > 0) cell(column, row, heat(ramp, (count / peak) ** HEAT_EXPONENT));
      });
    }

    context.fillStyle = this.#picture.color('--accent');
    for (const startMs of this.#momentStarts) {
      const column = columnOf(startMs);
      if (column < 0 || column >= WINDOWS_KEPT) continue;
      const x = left(column) + columnPx / 2;
      context.beginPath();
      context.moveTo(x - 4, 1);
      context.lineTo(x + 4, 1);
      context.lineTo(x, 8);
      context.fill();
    }
  }
}

/** A colour between the ramp's first non-zero step and its last, for a part of 1. */
function heat(ramp: string[], part: number): string {
  const at = 1 + part * (ramp.length - 2);
  const step = Math.min(Math.floor(at), ramp.length - 2);
  return mix(ramp[step]!, ramp[step + 1]!, at - step);
}

/** Mixes two colours written `#rrggbb`. */
function mix(from: string, to: string, part: number): string {
  const channel = (color: string, at: number) => Number.parseInt(color.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map((at) => {
    const start = channel(from, at);
    return Math.round(start + (channel(to, at) - start) * part);
  });
  return `rgb(${mixed.join(' ')})`;
}
