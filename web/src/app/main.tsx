// The app: every page but the live one, drawn with React below the shared masthead.

import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { onRefusedSession, Problem } from '../api/http.js';
import { currentSession, endSession, onSession } from '../api/session.js';
import { loginAddress, mountNavigation } from '../navigation.js';
import { notifyNext, showWaitingNotices } from '../notices.js';
import { part } from '../page.js';
import { frameTexts } from '../texts/frame.js';
import { router } from './router.js';

/** Answers are worth another attempt only when none came. */
const RETRIES_MAX = 2;

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) =>
        failures < RETRIES_MAX && error instanceof Problem && error.status === 0,
    },
  },
});

let expiry: ReturnType<typeof setTimeout> | undefined;

/** Back to the login, and from there to where one was. */
function expired(): void {
  if (location.pathname === '/login') return endSession();
  notifyNext(frameTexts.expired, 'info');
  endSession();
  location.assign(loginAddress(location.pathname + location.search));
}

function watchExpiry(): void {
  clearTimeout(expiry);
  const session = currentSession();
  if (!session) return;
  // A timer takes 24 days at most.
  const leftMs = Math.min(Date.parse(session.expiresAt) - Date.now(), 2 ** 31 - 1);
  expiry = setTimeout(() => (currentSession() ? watchExpiry() : expired()), leftMs);
}

function accountOf(): string | undefined {
  const session = currentSession();
  return session && `${session.role} ${session.username}`;
}

const fillNavigation = mountNavigation();
showWaitingNotices();
onRefusedSession(expired);
watchExpiry();
onSession(watchExpiry);
// What one account has seen is not the next one's to see. A new token of the same account changes nothing.
let account = accountOf();
onSession(() => {
  if (account !== accountOf()) queries.clear();
  account = accountOf();
});
router.subscribe('onResolved', fillNavigation);

createRoot(part('app')).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
