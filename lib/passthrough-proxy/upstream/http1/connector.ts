import { AsyncResource } from 'node:async_hooks'
import { connect, type NetConnectOpts, type OnReadOpts, type Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'

import { TlsConnector } from './tls.js'

/** Options of `net.connect` and `tls.connect`; `socketPath` is the path of a Unix socket. */
export type ConnectOptions = ConnectionOptions & {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly family?: number | undefined
  readonly socketPath?: string | undefined
  readonly autoSelectFamily?: boolean | undefined
  readonly autoSelectFamilyAttemptTimeout?: number | undefined
}

const KEEP_ALIVE_MS = 60_000

/** Connections outlive the request that opens them: they belong to no request's context, and hold none of it. */
const outside = new AsyncResource('SLUICEWAY_CONNECTIONS')

/** Opens connections to one origin. */
export class Connector {
  /** What `Host` says. */
  readonly host: string
  private readonly options: NetConnectOpts
  private readonly tls: TlsConnector | undefined

  constructor(origin: string, given: ConnectOptions) {
    const url = new URL(origin)
    const name = url.hostname.replace(/^\[|\]$/g, '')
    const isSecure = url.protocol === 'https:'
    this.host = url.host
    this.options = { ...given, ...placeOf(url, name, isSecure, given) } as NetConnectOpts
    this.tls = isSecure ? new TlsConnector(given, name) : undefined
  }

  /** Begins a connection, which reads into the memory that `onread` gives. */
  open(onread: OnReadOpts): Socket {
    return outside.runInAsyncScope(() => this.begin(onread))
  }

  private begin(onread: OnReadOpts): Socket {
    // Half-open: a tunnel has two halves, and an answer may still be read behind the end of a connection.
    const options = { ...this.options, onread, allowHalfOpen: true } as NetConnectOpts
    const socket = this.tls === undefined ? connect(options) : this.tls.connect(options)
    return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
  }
}

function placeOf(url: URL, host: string, isSecure: boolean, { socketPath }: ConnectOptions): object {
  if (socketPath !== undefined) return { path: socketPath }
  return { host, port: Number(url.port) || (isSecure ? 443 : 80) }
}
