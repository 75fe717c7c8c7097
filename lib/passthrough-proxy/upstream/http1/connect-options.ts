import type { ConnectionOptions } from 'node:tls'
import { wrongOption } from '../../../shared/error-page.js'
import { rejectUnknownKeys, wrongKind, type OptionCheck } from '../../../shared/options.js'

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
  SNICallback: 'it is an option of servers',
  ALPNCallback: 'it is an option of servers',
  requestCert: 'it is an option of servers',
} as const

/** The options of `net.connect`, in any version of Node from 20 to 26. */
const ofNet = [
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
  'blockList',
  'family',
  'highWaterMark',
  'hints',
  'keepAlive',
  'keepAliveInitialDelay',
  'localAddress',
  'localPort',
  'lookup',
  'noDelay',
  'readableHighWaterMark',
  'socketPath',
  'typeOfService',
  'writableHighWaterMark',
] as const

/** The options of `tls.connect` and `tls.createSecureContext`. */
const ofTls = [
  'allowPartialTrustChain',
  'ca',
  'cert',
  'certificateCompression',
  'checkServerIdentity',
  'ciphers',
  'clientCertEngine',
  'crl',
  'dhparam',
  'ecdhCurve',
  'enableTrace',
  'honorCipherOrder',
  'key',
  'maxVersion',
  'minDHSize',
  'minVersion',
  'passphrase',
  'pfx',
  'privateKeyEngine',
  'privateKeyIdentifier',
  'pskCallback',
  'rejectUnauthorized',
  'requestOCSP',
  'secureContext',
  'secureOptions',
  'secureProtocol',
  'servername',
  'sessionIdContext',
  'sessionTimeout',
  'sigalgs',
  'ticketKeys',
] as const

const known: readonly string[] = [...ofNet, ...ofTls]

const names = { group: 'connect.', others: 'the options are those of net.connect and tls.connect' }

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
  rejectUnknownKeys(option.owner, given, known, names)
  // Node would not ask for the server by its name if `servername` is undefined, and refuses others.
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.freeze(copyOf(Object.fromEntries(set)))
}

/** Copies lists, plain objects and bytes, which the caller may change later: each connection reads them again. */
function copyOf<Value>(value: Value): Value
function copyOf(value: unknown): unknown {
  if (ArrayBuffer.isView(value))
    return Buffer.from(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  if (Array.isArray(value)) return value.map(copyOf)
  if (!isPlainObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyOf(each)]))
}

/** Recognizes a plain object. An instance of a class, such as an Agent, would lose what it does. */
function isPlainObject(given: unknown): given is object {
  if (typeof given !== 'object' || given === null) return false
  const prototype: unknown = Object.getPrototypeOf(given)
  // In another realm, the prototype of a plain object is another one, which has no prototype itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
