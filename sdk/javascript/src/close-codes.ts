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
