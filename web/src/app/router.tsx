// The app's addresses. Each page is loaded when somebody goes there.

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { currentSession } from '../api/session.js';
import { Crashed, Frame, NotFound } from './frame.js';

interface ChannelSearch {
  channel?: string;
}

/** The channel that an address names; without one it is `main`. */
function channelSearch(search: Record<string, unknown>): ChannelSearch {
  const channel = search['channel'];
  return typeof channel === 'string' && channel !== '' ? { channel } : {};
}

/** Where one came from, and goes back to. */
function returnSearch(search: Record<string, unknown>): { return?: string } {
  const back = search['return'];
  return typeof back === 'string' ? { return: back } : {};
}

/** Of pages that need somebody who is logged in. */
function loginFirst({ location }: { location: { href: string } }): void {
  if (currentSession()) return;
  throw redirect({ to: '/login', search: { return: location.href } });
}

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: returnSearch,
  component: lazyRouteComponent(() => import('./login/page.js'), 'LoginPage'),
});

const register = createRoute({
  getParentRoute: () => root,
  path: '/register',
  validateSearch: returnSearch,
  component: lazyRouteComponent(() => import('./register/page.js'), 'RegisterPage'),
});

const account = createRoute({
  getParentRoute: () => root,
  path: '/account',
  beforeLoad: loginFirst,
  component: lazyRouteComponent(() => import('./account/page.js'), 'AccountPage'),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  validateSearch: channelSearch,
  beforeLoad: loginFirst,
  component: lazyRouteComponent(() => import('./settings/page.js'), 'SettingsPage'),
});

const moments = createRoute({
  getParentRoute: () => root,
  path: '/moments',
  validateSearch: channelSearch,
  component: lazyRouteComponent(() => import('./moments/page.js'), 'MomentsPage'),
});

const about = createRoute({
  getParentRoute: () => root,
  path: '/about',
  component: lazyRouteComponent(() => import('./about/page.js'), 'AboutPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([login, register, account, settings, moments, about]),
  // Values of this app are texts; they stand in the address as they are.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search) => {
    const pairs = Object.entries(search).filter(([, value]) => typeof value === 'string');
    const text = new URLSearchParams(pairs as [string, string][]).toString();
    return text === '' ? '' : `?${text}`;
  },
  defaultErrorComponent: Crashed,
  defaultPendingMs: 300,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
