// Requests to the server with the session's token, and its problems (RFC 9457) as errors with a field.

import { currentSession, type Session } from './session.js';

/** What the server, or the way to it, refused. */
export class Problem extends Error {
  /** Last part of the problem's type, such as `field-invalid`; `unreachable` when no answer came. */
  override readonly name: string;
  /** 0 when no answer came. */
  readonly status: number;
  /** The field that is wrong, as in `plain.threshold`. */
  readonly field: string | undefined;
  /** When another attempt may succeed. */
  readonly retryAfterMs: number | undefined;
  /** Version that the server has, beside a conflict. */
  readonly etag: string | undefined;

  constructor(facts: {
    name: string;
    detail: string;
    status: number;
    field?: string | undefined;
    retryAfterMs?: number | undefined;
    etag?: string | undefined;
  }) {
    super(facts.detail);
    this.name = facts.name;
    this.status = facts.status;
    this.field = facts.field;
    this.retryAfterMs = facts.retryAfterMs;
    this.etag = facts.etag;
  }
}

export interface Ask {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  blob?: Blob;
  /** Version that a change was made on. */
  ifMatch?: string;
  signal?: AbortSignal | undefined;
}

/** An answer that is worth having: its JSON, or undefined without content, and its version. */
export interface Answer<Body> {
  body: Body;
  etag: string | undefined;
}

let refusedSession: () => void = () => {};

/** What happens when the server no longer takes the session's token. */
export function onRefusedSession(handler: () => void): void {
  refusedSession = handler;
}

/** Asks the server; throws a `Problem`. */
export async function ask<Body>(path: string, what: Ask = {}): Promise<Answer<Body>> {
  const session = currentSession();
  const headers = new Headers({ accept: 'application/json' });
  if (session) headers.set('authorization', `Bearer ${session.token}`);
  if (what.ifMatch !== undefined) headers.set('if-match', what.ifMatch);
  if (what.json !== undefined) headers.set('content-type', 'application/json');
  if (what.blob) headers.set('content-type', what.blob.type || 'application/octet-stream');
  const response = await send(path, {
    method: what.method ?? 'GET',
    headers,
    body: what.json === undefined ? (what.blob ?? null) : JSON.stringify(what.json),
    signal: what.signal ?? null,
    // A version is asked for to be changed: one from the browser's cache is not good enough.
    cache: 'no-store',
  });
  if (!response.ok) {
    const problem = await problemOf(response);
    if (session && isRefused(session, problem)) refusedSession();
    throw problem;
  }
  const text = await response.text();
  const body = (text === '' ? undefined : parse(text)) as Body;
  return { body, etag: response.headers.get('etag') ?? undefined };
}

/** Whether it is the token that was not taken: not a password given beside it, nor a token that has been replaced since. */
function isRefused({ token }: Session, { status, name }: Problem): boolean {
  return status === 401 && name !== 'credentials-wrong' && token === currentSession()?.token;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem({ name: 'unreachable', detail: 'no answer from the server', status: 0 });
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const { headers, status } = response;
  const json = parse(await response.text().catch(() => ''));
  const fields = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const text = (name: string) => {
    const value = fields[name];
    return typeof value === 'string' ? value : undefined;
  };
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return new Problem({
    name: text('type')?.split('/').at(-1) ?? `status-${status}`,
    detail: text('detail') ?? text('error') ?? text('title') ?? `status ${status}`,
    status,
    field: text('field'),
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
    etag: headers.get('etag') ?? undefined,
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
