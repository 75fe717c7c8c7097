import { connect, type NetConnectOpts, type OnReadOpts, type Socket } from 'node:net'
import { URL } from 'node:url'
import { openAsRequest } from '../../../node/connection/intercepted-socket.js'
import type { ConnectOptions } from './connect-options.js'
import { runOutside } from './outside.js'
import { TlsConnector } from './tls.js'

/** Detects a dead host behind a silent stream; a live one may stay silent for hours. */
const KEEP_ALIVE_MS = 60_000

/** Opens connections to one origin. */
export class Connector {
  /** The value of `Host`. */
  readonly host: string
  private readonly given: ConnectOptions
  private readonly options: NetConnectOpts
  private readonly tls: TlsConnector | undefined

  constructor(origin: string, given: ConnectOptions) {
    const url = new URL(origin)
    const name = url.hostname.replace(/^\[|\]$/g, '')
    const isSecure = url.protocol === 'https:'
    this.host = url.host
    this.given = given
    this.options = { ...given, ...placeOf(url, name, isSecure, given) } as NetConnectOpts
    this.tls = isSecure ? new TlsConnector(given, name) : undefined
  }

  /** Opens a connection that reads into the memory of `onread`. */
  open(onread: OnReadOpts): Socket {
    return runOutside(() => this.begin(onread))
  }

  /** Opens a connection that other code intercepts, such as nock or msw; its socket emits its bytes. */
  openIntercepted(): Socket {
    return runOutside(() => openAsRequest(() => this.begin()))
  }

  /**
   * Sets the options of an open connection. Node ignores them over TLS; and if a name has several addresses, each has
   * a socket of its own below this one.
   */
  tune(socket: Socket): void {
    const { noDelay = true, keepAlive = true, keepAliveInitialDelay = KEEP_ALIVE_MS } = this.given
    socket.setNoDelay(noDelay).setKeepAlive(keepAlive, keepAliveInitialDelay)
  }

  private begin(onread?: OnReadOpts): Socket {
    // It is half-open: a tunnel has two halves, and an answer may still be read after the end of a connection.
    const options = { ...this.options, onread, allowHalfOpen: true } as NetConnectOpts
    return this.tls === undefined ? connect(options) : this.tls.connect(options)
  }
}

function placeOf(url: URL, host: string, isSecure: boolean, { socketPath }: ConnectOptions): object {
  if (socketPath !== undefined) return { path: socketPath }
  return { host, port: Number(url.port) || (isSecure ? 443 : 80) }
}
