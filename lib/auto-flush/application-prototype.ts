import type { ServerResponse } from 'node:http'

/**
 * The object that an Express application has made for its responses to inherit from (`app.response`), or undefined
 * where a response inherits from a class, which belongs to everybody.
 */
export function applicationPrototype(res: ServerResponse): object | undefined {
  const prototype = Object.getPrototypeOf(res) as object
  return Object.hasOwn(prototype, 'constructor') ? undefined : prototype
}
