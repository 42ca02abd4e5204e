// Who is logged in, in this tab: kept in memory and in the tab's own storage, never in an address.

export type Role = 'viewer' | 'moderator' | 'broadcaster' | 'admin';

/** Roles ascend: each may do what those before it may. */
export const ROLES: readonly Role[] = ['viewer', 'moderator', 'broadcaster', 'admin'];

export interface Session {
  token: string;
  username: string;
  role: Role;
  /** RFC 3339. */
  expiresAt: string;
}

const KEY = 'emostream.session';
const listeners = new Set<() => void>();
let session = restore();

/** The session, unless it is over. */
export function currentSession(nowMs: number = Date.now()): Session | undefined {
  return session && Date.parse(session.expiresAt) > nowMs ? session : undefined;
}

export function startSession(started: Session): void {
  session = started;
  store(JSON.stringify(started));
  tell();
}

export function endSession(): void {
  session = undefined;
  store(undefined);
  tell();
}

/** Calls back whenever somebody logs in or out; the answer ends that. */
export function onSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the session, if there is one, has this role or a higher one. */
export function mayActAs(role: Role): boolean {
  const own = currentSession()?.role;
  return own !== undefined && ROLES.indexOf(own) >= ROLES.indexOf(role);
}

function tell(): void {
  for (const listener of listeners) listener();
}

function restore(): Session | undefined {
  try {
    const value = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Partial<Session> | null;
    const texts = [value?.token, value?.username, value?.role, value?.expiresAt];
    const whole = texts.every((text) => typeof text === 'string');
    return whole && ROLES.includes(value?.role as Role) ? (value as Session) : undefined;
  } catch {
    return undefined;
  }
}

/** A browser that keeps nothing still has the session in memory. */
function store(text: string | undefined): void {
  try {
    if (text === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch {
    // The next document asks to log in again.
  }
}
