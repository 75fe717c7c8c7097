import { types } from 'node:util'

/**
 * Tells whether a value is an error, in any realm. Some test runners (Jest) load this package into a realm with its own
 * `Error`, and errors that Node throws are not instances of it.
 */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value)
}
