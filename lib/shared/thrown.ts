import { withEntry } from './error-page.js'

/** Creates the error for a thrown value that is not an error, which then becomes its cause. */
export function notAnError(owner: string, cause: unknown): Error {
  const message = `${owner}: a value was thrown that is not an error`
  return new Error(withEntry(message, 'a-thrown-value-that-is-not-an-error'), { cause })
}
