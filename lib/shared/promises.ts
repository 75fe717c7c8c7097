import { wrongOption } from './error-page.js'
import type { OptionName } from './options.js'

/** Recognizes a promise of any library. */
export function isPromise(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function'
}

/**
 * Returns the result of a caller's function, unless it is a promise, which would count as true whatever it resolves
 * to.
 * @throws TypeError for a promise; its rejection, which nothing else would handle, is dropped.
 */
export function atOnce<Result>(result: Result, { owner, key }: OptionName): Result {
  if (!isPromise(result)) return result
  result.then(undefined, ignore)
  throw wrongOption(`${owner}: option "${key}" must return its result at once, and not a promise`)
}

function ignore(): void {}
