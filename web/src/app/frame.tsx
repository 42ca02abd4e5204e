// What all pages of the app have in common: links of the masthead without a new document, title, heading with the focus.

import { Outlet, useRouter } from '@tanstack/react-router';
import { UNSAFE_PortalProvider as PortalProvider } from 'react-aria';
import { useEffect, useRef, type ReactNode } from 'react';
import { appTexts } from '../texts/app.js';
import { APP_PATHS } from './go.js';

export function Frame() {
  useOwnLinks();
  return (
    <PortalProvider getContainer={mainLandmark}>
      <Outlet />
    </PortalProvider>
  );
}

/** Where popovers and dialogs are drawn: what lies outside of every landmark is hard to come across by ear. */
function mainLandmark(): HTMLElement {
  return document.querySelector('main') ?? document.body;
}

/** Lets the masthead's links, which are the live page's too, lead to the app's pages without loading a document. */
function useOwnLinks(): void {
  const router = useRouter();
  useEffect(() => {
    const follow = (event: MouseEvent) => {
      const link = (event.target as Element).closest?.('a[href]') as HTMLAnchorElement | null;
      const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey);
      if (!link || !plain || event.defaultPrevented || link.target || link.download) return;
      if (link.origin !== location.origin || !APP_PATHS.includes(link.pathname)) return;
      event.preventDefault();
      router.history.push(link.pathname + link.search);
    };
    document.addEventListener('click', follow);
    return () => document.removeEventListener('click', follow);
  }, [router]);
}

interface PageProps {
  title: string;
  /** Beside the title. */
  aside?: ReactNode;
  narrow?: boolean;
  children: ReactNode;
}

/** A page with its heading, which takes the focus when one comes from another page, so that it is read aloud. */
export function Page({ title, aside, narrow = false, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = appTexts.title(title);
  }, [title]);
  // Once: the page before still stands while this one is being loaded.
  useEffect(() => {
    const { pathname } = location;
    if (arrivedFrom !== undefined && arrivedFrom !== pathname) heading.current?.focus();
    arrivedFrom = pathname;
  }, []);
  return (
    <main className={narrow ? 'page page-narrow' : 'page'}>
      <div className="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {aside}
      </div>
      {children}
    </main>
  );
}

/** The page before, once there was one in this document. */
let arrivedFrom: string | undefined;

export function NotFound() {
  return (
    <Page title={appTexts.notFoundTitle} narrow>
      <p>{appTexts.notFound}</p>
      <p>
        <a href="/">{appTexts.toLive}</a>
      </p>
    </Page>
  );
}

export function Crashed() {
  return (
    <Page title={appTexts.notFoundTitle} narrow>
      <p role="alert">{appTexts.crashed}</p>
    </Page>
  );
}
