import type { ServerResponse } from 'node:http'
import type { AutoFlushSettings } from './settings.js'

const kMounted: unique symbol = Symbol.for('sluiceway.autoFlush.mounted') as never
const everywhere = globalThis as { [kMounted]?: WeakMap<ServerResponse, AutoFlushSettings> }

/**
 * The responses that have passed the middleware, with the settings of the mount they passed last.
 *
 * It stands beside the responses, because any property added to a response costs Node 20 and 22 some 5 us, and it is
 * global, because both copies of this package (ESM and CommonJS) may be mounted on one response.
 */
export const mounted: WeakMap<ServerResponse, AutoFlushSettings> = (everywhere[kMounted] ??= new WeakMap())

/**
 * The object that the responses of an Express application inherit from (`app.response`): of nested applications that
 * of the outermost one, which a response keeps when it leaves the inner one. Undefined where there is no application.
 */
export function applicationPrototype(res: ServerResponse): object | undefined {
  let application: object | undefined
  let prototype = Object.getPrototypeOf(res) as object
  while (Object.hasOwn(prototype, 'app')) {
    application = prototype
    prototype = Object.getPrototypeOf(prototype) as object
  }
  return application
}
