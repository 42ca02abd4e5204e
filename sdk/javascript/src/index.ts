// The public face of the viewer client.

export { CLOSE_CODES } from './close-codes.js';
export type { ConnectionState, Socket } from './connection.js';
export type { Device, Place, PlacementOptions } from './placement.js';
export { ReactionError, type ClientErrorCode } from './errors.js';
export type { Unsubscribe } from './emitter.js';
export {
  SUBPROTOCOL,
  type Bye,
  type Counts,
  type ErrorFrame,
  type Gap,
  type Hello,
  type Moment,
  type Pulse,
  type Settings,
  type Window,
} from './frames.js';
export {
  connect,
  Viewer,
  type Environment,
  type ReactOptions,
  type ViewerEvents,
  type ViewerOptions,
} from './viewer.js';
