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
  #pictures: ReadonlyMap<string, string> = new Map();

  /** Addresses of custom emotes' pictures; each is loaded when its emote is first drawn. */
  setPictures(pictures: ReadonlyMap<string, string>): void {
    const changed = [...this.#pictures, ...pictures].map(([emote]) => emote);
    for (const emote of changed) {
      if (this.#pictures.get(emote) !== pictures.get(emote)) this.#drawn.delete(emote);
    }
    this.#pictures = pictures;
  }

  /** The picture of an emote, square. */
  of(emote: string): HTMLCanvasElement {
    const known = this.#drawn.get(emote);
    if (known) return known;
    if (this.#drawn.size >= SPRITES_MAX) this.#drawn.clear();
    const sprite = draw(emote);
    this.#drawn.set(emote, sprite);
    const picture = this.#pictures.get(emote);
    if (picture !== undefined) load(sprite, picture);
    return sprite;
  }
}

/** Draws a picture over the name once it has come; one that does not come leaves the name. */
function load(sprite: HTMLCanvasElement, address: string): void {
  const image = new Image();
  image.addEventListener('load', () => {
    const scale = (SPRITE_PX * 0.9) / Math.max(image.naturalWidth, image.naturalHeight, 1);
    const width = image.naturalWidth * scale;
    const height = image.naturalHeight * scale;
    const context = sprite.getContext('2d');
    context?.clearRect(0, 0, SPRITE_PX, SPRITE_PX);
    context?.drawImage(image, (SPRITE_PX - width) / 2, (SPRITE_PX - height) / 2, width, height);
  });
  image.src = address;
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
