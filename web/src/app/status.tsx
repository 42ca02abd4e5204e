// How a page says that it waits, or that it did not get what it needs.

import { Problem } from '../api/http.js';
import { appTexts } from '../texts/app.js';

/** An error in words for people. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Problem)) return appTexts.failed(String(error));
  if (error.status === 0) return appTexts.unreachable;
  if (error.status === 403) return appTexts.notAllowed;
  return appTexts.failed(error.message);
}

interface RefusalTexts {
  /** Too many attempts; in so many seconds there may be another. */
  tooOften: (seconds: number) => string;
  failed: (words: string) => string;
}

/** Why a form was not taken, where it is no field's fault. */
export function refusalWords(error: unknown, texts: RefusalTexts): string {
  if (!(error instanceof Problem)) return texts.failed(String(error));
  if (error.status === 0) return appTexts.noAnswer;
  if (error.status === 429) return texts.tooOften(Math.ceil((error.retryAfterMs ?? 1_000) / 1_000));
  return texts.failed(error.message);
}

export function Loading() {
  return (
    <p className="loading" role="status">
      {appTexts.loading}
    </p>
  );
}

export function Failed({ error, again }: { error: unknown; again: () => void }) {
  return (
    <div className="panel failed" role="alert">
      <p>{wordsOf(error)}</p>
      <button type="button" className="button" onClick={again}>
        {appTexts.tryAgain}
      </button>
    </div>
  );
}
