// Why a reaction was not counted, as a typed error that a program can branch on.

/** Codes made by this client; every other code comes from the server's `error` frame. */
export type ClientErrorCode = 'queue-full' | 'expired' | 'closed';

/** The rejection of `react()`. */
export class ReactionError extends Error {
  override readonly name = 'ReactionError';

  constructor(
    /** Stable for programs: a `ClientErrorCode` or a code of the server, such as `emote-not-allowed`. */
    readonly code: ClientErrorCode | (string & {}),
    detail: string,
    /** The reaction's id, once it has one. */
    readonly id?: string,
  ) {
    super(detail);
  }
}
