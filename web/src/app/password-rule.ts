// What a new password must be: the server's rule, told before it is asked.

import { PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN } from '../api/accounts.js';
import { appTexts } from '../texts/app.js';

/** What is wrong about a new password, if anything. */
export function wrongPassword(password: string, missing: string): string | undefined {
  if (password === '') return missing;
  // Characters as the server counts them: an emoji is one.
  const chars = [...password].length;
  if (chars < PASSWORD_CHARS_MIN) return appTexts.passwordShort(PASSWORD_CHARS_MIN, chars);
  if (chars > PASSWORD_CHARS_MAX) return appTexts.passwordLong(PASSWORD_CHARS_MAX, chars);
  return undefined;
}
