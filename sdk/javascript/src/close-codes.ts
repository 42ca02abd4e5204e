// What a WebSocket close code asks of a client: the range decides, so new codes need no new client.

/** First code of the range after which a client connects again. */
export const RECONNECT_FROM = 4000;
/** First code of the range after which a client stays away. */
export const TERMINAL_FROM = 4500;
const TERMINAL_TO = 4999;

/** Whether the server will not have this viewer back: bad credentials, unknown channel, broken client. */
export function isTerminal(code: number): boolean {
  return code >= TERMINAL_FROM && code <= TERMINAL_TO;
}

/** The codes that a program may want to tell apart; others may come, and their range says what to do. */
export const CLOSE_CODES = {
  shuttingDown: 4000,
  tooSlow: 4001,
  full: 4002,
  rateLimited: 4003,
  idle: 4004,
  /** The edge is being emptied: ask placement where to go. */
  draining: 4005,
  /** Too many devices of the account are connected: ask placement. */
  surplus: 4006,
  /** No ticket, where one is needed, or one that is not good (any more): ask placement for one. */
  ticketRefused: 4007,
  badFrame: 4500,
  frameTooLarge: 4501,
  unknownChannel: 4502,
  unauthorized: 4503,
  /** The same device has connected anew. */
  takenOver: 4504,
  /** Somebody has ended this device's connection. */
  deviceEnded: 4505,
  /** The channel is for members: log in. */
  guestsRefused: 4506,
  accountGone: 4507,
} as const;
