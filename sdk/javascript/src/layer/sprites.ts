// Emotes drawn once and then copied: shaping an emoji's glyph for every particle would cost the frame.

/** Emoji fonts first: general fonts hold monochrome versions of some emoji. */
export const EMOTE_FONT =
  '"Noto Color Emoji", "Apple Color Emoji", "Segoe UI Emoji", system-ui, sans-serif';

/** Edge of a sprite in device pixels: sharp up to this size, and small in memory. */
const SPRITE_PX = 128;
/** Sprites kept; a palette offers 64 emotes. */
const SPRITES_MAX = 128;

export class Sprites {
  readonly #drawn = new Map<string, HTMLCanvasElement>();

  /** The picture of an emote, square. */
  of(emote: string): HTMLCanvasElement {
    const known = this.#drawn.get(emote);
    if (known) return known;
    if (this.#drawn.size >= SPRITES_MAX) this.#drawn.clear();
    const sprite = draw(emote);
    this.#drawn.set(emote, sprite);
    return sprite;
  }
}

function draw(emote: string): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = SPRITE_PX;
  canvas.height = SPRITE_PX;
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  context.textAlign = 'center';
  context.textBaseline = 'alphabetic';
  context.fillStyle = '#888';
  const size = SPRITE_PX * 0.78;
  context.font = `${size}px ${EMOTE_FONT}`;
  // A custom emote without a picture appears as its name, made to fit.
  const wide = context.measureText(emote).width;
  if (wide > SPRITE_PX) context.font = `${(size * SPRITE_PX) / wide}px ${EMOTE_FONT}`;
  const { actualBoundingBoxAscent: up, actualBoundingBoxDescent: down } =
    context.measureText(emote);
  context.fillText(emote, SPRITE_PX / 2, SPRITE_PX / 2 + (up - down) / 2);
  return canvas;
}
