// A canvas that is sharp on every screen and drawn again when its size or the colour scheme changes.

import { prefersDark } from './page.js';

export type Draw = (context: CanvasRenderingContext2D, width: number, height: number) => void;

export class Picture {
  readonly #canvas: HTMLCanvasElement;
  readonly #draw: Draw;

  constructor(canvas: HTMLCanvasElement, draw: Draw) {
    this.#canvas = canvas;
    this.#draw = draw;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    prefersDark.addEventListener('change', () => this.redraw());
  }

  /** Draws now, in CSS pixels from the upper left corner. */
  redraw(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#canvas.getContext('2d');
    if (!context || width === 0 || height === 0) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#draw(context, width, height);
  }

  /** A colour of the page's own system. */
  color(name: string): string {
    return getComputedStyle(this.#canvas).getPropertyValue(name).trim();
  }
}
