// Registers `<emostream-layer>` where a document exists.

import { EmostreamLayer } from './element.js';

export { EmostreamLayer };
export { EMOTE_FONT } from './sprites.js';

const TAG = 'emostream-layer';

declare global {
  interface HTMLElementTagNameMap {
    [TAG]: EmostreamLayer;
  }
}

if (typeof customElements !== 'undefined' && !customElements.get(TAG)) {
  customElements.define(TAG, EmostreamLayer);
}
