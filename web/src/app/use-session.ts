// Who is logged in, as state of React: what depends on it is drawn anew when that changes.

import { useSyncExternalStore } from 'react';
import { currentSession, onSession, type Session } from '../api/session.js';

export function useSession(): Session | undefined {
  return useSyncExternalStore(onSession, currentSession);
}
