// Accounts: log in, register, and what this server lets people register for; one's own account and its devices.

import type { DeviceList, LoginAnswer, Me, Site } from './documents.js';
import { ask } from './http.js';
import type { Session } from './session.js';

/** Characters of a new password, by the server's rule. */
export const PASSWORD_CHARS_MIN = 8;
export const PASSWORD_CHARS_MAX = 128;

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

export async function readMe(signal?: AbortSignal): Promise<Me> {
  return (await ask<Me>('/v1/me', { signal })).body;
}

/** Changes one's own password, with which every token of the account ends; throws a `Problem`. */
export async function changePassword(current: string, next: string): Promise<void> {
  await ask('/v1/me/password', { method: 'POST', json: { current, new: next } });
}

/** Removes one's own account for good; throws a `Problem`. */
export async function removeAccount(password: string): Promise<void> {
  await ask('/v1/me', { method: 'DELETE', json: { password } });
}

export async function readDevices(signal?: AbortSignal): Promise<DeviceList> {
  return (await ask<DeviceList>('/v1/me/devices', { signal })).body;
}

/** Ends one of one's own devices; throws a `Problem`, named `device-not-found` if it has left already. */
export async function endDevice(deviceId: string): Promise<void> {
  await ask(`/v1/me/devices/${encodeURIComponent(deviceId)}`, { method: 'DELETE' });
}
