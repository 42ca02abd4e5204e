// `<emostream-layer>`: the crowd's emotes over a page or a player, on one canvas that never takes a click.

import type { Counts } from '../frames.js';
import { Particles } from './particles.js';
import { Sprites } from './sprites.js';
import { Tally, TALLY_MS } from './tally.js';

/** Sharper than this only costs fill rate. */
const PIXEL_RATIO_MAX = 2;
/** A pulse's emotes start spread over its length, so that they do not come in ranks. */
const PULSE_MS = 100;
/** Emotes started by one pulse. */
const LAUNCHES_PER_PULSE_MAX = 48;
/** Half an own emote's size: how near to the layer's sides, and how far below it, one may start. */
const EDGE_PX = 24;

const STYLE = `
:host { display: block; position: relative; pointer-events: none; contain: strict; }
:host([hidden]) { display: none; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
`;

const Base: typeof HTMLElement =
  typeof HTMLElement === 'undefined' ? (class {} as typeof HTMLElement) : HTMLElement;

export class EmostreamLayer extends Base {
  readonly #canvas = document.createElement('canvas');
  readonly #context = this.#canvas.getContext('2d');
  readonly #particles = new Particles(Math.random);
  readonly #sprites = new Sprites();
  readonly #tally = new Tally();
  readonly #calm = matchMedia('(prefers-reduced-motion: reduce)');
  readonly #resizes = new ResizeObserver(() => this.#resize());
  readonly #sights = new IntersectionObserver(([entry]) => {
    this.#inSight = entry?.isIntersecting ?? true;
    this.#wake();
  });
  #inSight = true;
  #area = new DOMRect();
  #ratio = 1;
  #frame: number | undefined;
  #tallyTimer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    const root = this.attachShadow({ mode: 'open' });
    // A constructed sheet also works where a page's policy forbids inline styles.
    root.adoptedStyleSheets = [style];
    root.append(this.#canvas);
    this.#canvas.setAttribute('aria-hidden', 'true');
  }

  connectedCallback(): void {
    this.#resizes.observe(this);
    this.#sights.observe(this);
    this.#calm.addEventListener('change', this.#changeMotion);
    document.addEventListener('visibilitychange', this.#wake);
    this.#changeMotion();
  }

  disconnectedCallback(): void {
    this.#resizes.disconnect();
    this.#sights.disconnect();
    this.#calm.removeEventListener('change', this.#changeMotion);
    document.removeEventListener('visibilitychange', this.#wake);
    clearInterval(this.#tallyTimer);
    this.#sleep();
  }

  /** Particles in flight. */
  get particleCount(): number {
    return this.#particles.count;
  }

  /** Gives custom emotes their pictures: emote to address. An emote without one appears as its name. */
  setPictures(pictures: ReadonlyMap<string, string>): void {
    this.#sprites.setPictures(pictures);
  }

  /** Shows a pulse: `shown` emotes fly; with reduced motion the true `counts` are added up instead. */
  show(shown: Counts, counts: Counts = shown): void {
    if (!this.#visible) return;
    if (this.#calm.matches) return this.#tally.add(counts);
    const wanted = Object.values(shown).reduce((sum, count) => sum + count, 0);
    const share = Math.min(1, LAUNCHES_PER_PULSE_MAX / Math.max(1, wanted));
    const nowMs = performance.now();
    const { width, height } = this.#area;
    for (const [emote, count] of Object.entries(shown)) {
      for (let left = Math.ceil(count * share); left > 0; left -= 1) {
        const atMs = nowMs + Math.random() * PULSE_MS;
        if (!this.#particles.launch({ emote, atMs, width, height })) return this.#wake();
      }
    }
    this.#wake();
  }

  /** Starts the viewer's own emote at a point of the page, at once. */
  launchFrom(emote: string, clientX: number, clientY: number): void {
    if (!this.#visible || this.#calm.matches) return;
    const box = this.getBoundingClientRect();
    // A point beside or below the layer starts at its edge: it would fly where nothing is drawn.
    const from = {
      x: Math.min(Math.max(clientX - box.left, EDGE_PX), Math.max(box.width - EDGE_PX, EDGE_PX)),
      y: Math.min(clientY - box.top, box.height + EDGE_PX),
    };
    const { width, height } = this.#area;
    this.#particles.launch({ emote, atMs: performance.now(), width, height, from, own: true });
    this.#wake();
  }

  get #visible(): boolean {
    return this.#inSight && document.visibilityState === 'visible' && this.#area.width > 0;
  }

  #resize(): void {
    this.#area = this.getBoundingClientRect();
    const ratio = Math.min(devicePixelRatio || 1, PIXEL_RATIO_MAX);
    this.#ratio = ratio;
    this.#canvas.width = Math.round(this.#area.width * ratio);
    this.#canvas.height = Math.round(this.#area.height * ratio);
    this.#context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.#calm.matches) this.#drawTally();
    else this.#wake();
  }

  readonly #changeMotion = (): void => {
    this.#particles.clear();
    this.#sleep();
    this.#erase();
    clearInterval(this.#tallyTimer);
    if (!this.#calm.matches) return;
    this.#tallyTimer = setInterval(() => {
      if (this.#tally.turn(performance.now())) this.#drawTally();
    }, TALLY_MS / 4);
  };

  /** Frames are asked for only while something flies and somebody can see it. */
  readonly #wake = (): void => {
    if (!this.#visible) {
      this.#particles.clear();
      this.#sleep();
    } else if (this.#particles.count > 0) {
      this.#frame ??= requestAnimationFrame(this.#drawFrame);
    }
  };

  #sleep(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
  }

  #erase(): void {
    this.#context?.clearRect(0, 0, this.#area.width, this.#area.height);
  }

  readonly #drawFrame = (nowMs: number): void => {
    this.#frame = undefined;
    this.#erase();
    const context = this.#context;
    if (!context) return;
    const ratio = this.#ratio;
    this.#particles.advance(nowMs, (emote, { x, y, size, tilt, alpha }) => {
      const cos = Math.cos(tilt) * ratio;
      const sin = Math.sin(tilt) * ratio;
      context.globalAlpha = alpha;
      context.setTransform(cos, sin, -sin, cos, x * ratio, y * ratio);
      context.drawImage(this.#sprites.of(emote), -size / 2, -size / 2, size, size);
    });
    context.globalAlpha = 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#wake();
  };

  #drawTally(): void {
    this.#erase();
    if (!this.#context) return;
    this.#tally.draw(this.#context, this.#area, this.#sprites, getComputedStyle(this));
  }
}
