// What a WebSocket close code asks of a client: the range decides, so new codes need no new client. After 4000 to 4499, and after
// every code that is not the server's, a client connects again.

/** First code of the range after which a client stays away. */
export const TERMINAL_FROM = 4500;
const TERMINAL_TO = 4999;

/** Whether the server will not have this viewer back: bad credentials, unknown channel, broken client. */
export function isTerminal(code: number): boolean {
  return code >= TERMINAL_FROM && code <= TERMINAL_TO;
}

/**
 * The codes that a program may want to tell apart, in `code` of the state `ended`; others may come, and their range says what to do.
 * Those below 4500 are no end: the viewer comes back by itself.
 */
export const CLOSE_CODES = {
  /** The node stops; another takes over, or it comes back. */
  shuttingDown: 4000,
  /** The viewer did not read for too long. */
  tooSlow: 4001,
  /** No room at this moment. */
  full: 4002,
  /** More was sent than the rate limit allows, for too long. */
  rateLimited: 4003,
  /** No ping was answered for too long. */
  idle: 4004,
  /** The edge is being emptied: ask placement where to go. */
  draining: 4005,
  /** Too many devices of the account are connected: ask placement. */
  surplus: 4006,
  /** No ticket, where one is needed, or one that is not good (any more): ask placement for one. */
  ticketRefused: 4007,
  /** A message was no valid frame. */
  badFrame: 4500,
  /** A message was larger than the limit. */
  frameTooLarge: 4501,
  /** There is no such channel. */
  unknownChannel: 4502,
  /** The same device has connected anew, in another window or elsewhere. */
  takenOver: 4504,
  /** The account's owner, or an admin, has ended this device's connection. */
  deviceEnded: 4505,
  /** The channel is for members: log in. */
  guestsRefused: 4506,
  /** The account was deleted. */
  accountGone: 4507,
} as const;
