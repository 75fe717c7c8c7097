import type { ConnectionOptions } from 'node:tls'

import { wrongOption } from '../../../shared/error-page.js'
import { wrongKind, type OptionCheck } from '../../../shared/options.js'

/** Options of `net.connect` and `tls.connect`; `socketPath` is the path of a Unix socket. */
export type ConnectOptions = ConnectionOptions & {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly family?: number | undefined
  readonly socketPath?: string | undefined
  readonly autoSelectFamily?: boolean | undefined
  readonly autoSelectFamilyAttemptTimeout?: number | undefined
}

/** The options that the client sets itself, each with the option that controls it. */
const foreign: Readonly<Record<string, string>> = {
  host: 'the target names it',
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
}

/** Accepts options of `net.connect` and `tls.connect`, except those that the client sets itself. */
export const connectOptions: OptionCheck<ConnectOptions | undefined> = (given, option) => {
  if (given === undefined) return undefined
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrongKind(option, 'an object with options of net.connect and tls.connect', given)
  }
  for (const key of Object.keys(given)) {
    if (foreign[key] !== undefined) {
      throw wrongOption(`${option.owner}: option "${option.key}.${key}" cannot be set: ${foreign[key]}`)
    }
  }
  return Object.freeze({ ...given })
}
