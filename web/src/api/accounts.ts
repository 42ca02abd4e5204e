// Accounts: log in, register, and what this server lets people register for.

import type { LoginAnswer, Site } from './documents.js';
import { ask } from './http.js';
import type { Session } from './session.js';

/** A session for these credentials; throws a `Problem`. */
export async function logIn(username: string, password: string): Promise<Session> {
  const { body } = await ask<LoginAnswer>('/v1/login', {
    method: 'POST',
    json: { username, password },
  });
  const { token, expires_at: expiresAt, user } = body;
  return { token, expiresAt, username: user.username, role: user.role };
}

/** Makes an account; throws a `Problem`. */
export async function register(
  username: string,
  password: string,
  tier: number | undefined,
): Promise<void> {
  const json = { username, password, ...(tier === undefined ? {} : { tier }) };
  await ask('/v1/register', { method: 'POST', json });
}

export type Registration = Required<Site>['registration'];

const CLOSED: Registration = { open: false, choose_tier: false, default_tier: 1, tiers: [] };

/** What a site says about registration; nothing while it has not said anything. */
export function registrationOf(site: Site | undefined): Registration {
  return site?.registration ?? CLOSED;
}
