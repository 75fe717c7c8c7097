import type { ConnectionOptions } from 'node:tls'

import { wrongOption } from '../../../shared/error-page.js'
import { wrongKind, type OptionCheck } from '../../../shared/options.js'

/** Options of `net.connect` and `tls.connect`; `socketPath` is the path of a Unix socket. */
export type ConnectOptions = Omit<ConnectionOptions, keyof typeof foreign> & {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly family?: number | undefined
  readonly socketPath?: string | undefined
  readonly autoSelectFamily?: boolean | undefined
  readonly autoSelectFamilyAttemptTimeout?: number | undefined
  readonly hints?: number | undefined
  readonly noDelay?: boolean | undefined
  readonly keepAlive?: boolean | undefined
  readonly keepAliveInitialDelay?: number | undefined
  readonly highWaterMark?: number | undefined
}

/** The options that the client sets itself, each with the option that controls it. */
const foreign = {
  host: 'the target names it',
  hostname: 'the target names it',
  agent: 'connections are kept alive and shared without one',
  secure: 'use "rejectUnauthorized"',
  port: 'the target names it',
  path: 'use "socketPath"',
  socket: 'use "dispatcher"',
  fd: 'use "dispatcher"',
  ALPNProtocols: 'only HTTP/1.1 is spoken; use "dispatcher" for HTTP/2',
  session: 'sessions are kept for you',
  onread: 'bytes are read for you',
  allowHalfOpen: 'it is always true',
  signal: 'use `close()`',
  timeout: 'use "connectTimeoutMs"',
} as const

/** Accepts options of `net.connect` and `tls.connect`, except those that the client sets itself. */
export const connectOptions: OptionCheck<ConnectOptions | undefined> = (given, option) => {
  if (given === undefined) return undefined
  if (!isPlainObject(given)) {
    throw wrongKind(option, 'an object with options of net.connect and tls.connect', given)
  }
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(foreign, key)) {
      const reason = foreign[key as keyof typeof foreign]
      throw wrongOption(`${option.owner}: option "${option.key}.${key}" cannot be set: ${reason}`)
    }
  }
  return Object.freeze({ ...given })
}

/** True for options, and false for an instance of a class, such as an Agent: what it does would be lost. */
function isPlainObject(given: unknown): given is object {
  if (typeof given !== 'object' || given === null) return false
  const prototype: unknown = Object.getPrototypeOf(given)
  // An object of another realm has a prototype of its own, which has none.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
