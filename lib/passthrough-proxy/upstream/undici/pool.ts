import type { Socket } from 'node:net'

import { Agent, Client, Pool, type Dispatcher, type buildConnector } from 'undici'

import { forgetContentLength } from './parser.js'

/** One connection of the built-in pool, which knows more of itself than undici tells. */
export interface Connection {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean
  /** Counts a request that is being sent; tells whether the socket has carried one before. */
  serve(): boolean
  /** The response under way has a Content-Length and no body (HEAD, 204, 304). */
  expectNoBody(): void
}

/** A handler that wants to know on which connection its request goes out. */
interface Assignable {
  assigned?(connection: Connection): void
}

/**
 * Creates the pool of one proxy: connections are kept alive, and carry one request at a time.
 * Where the origin is always the same, nothing needs to be looked up by it.
 */
export function createPool(
  {
    maxConnections,
    connectTimeoutMs,
  }: { readonly maxConnections: number; readonly connectTimeoutMs: number },
  origin: string | undefined,
): Dispatcher {
  const options = { connections: maxConnections, pipelining: 1, connectTimeout: connectTimeoutMs }
  return origin === undefined ? new Agent({ ...options, factory: openPool }) : openPool(origin, options)
}

function openPool(origin: string | URL, options: object): Pool {
  return new Pool(origin, { ...options, factory: openConnection })
}

function openConnection(origin: URL, options: object): Client {
  return new PooledClient(origin, options)
}

class PooledClient extends Client implements Connection {
  private served = 0
  private socket: Socket | undefined

  constructor(origin: URL, options: Client.Options) {
    const connect = options.connect as buildConnector.connector
    super(origin, {
      ...options,
      connect: (target: buildConnector.Options, callback: buildConnector.Callback) => {
        connect(target, (error, socket) => {
          this.served = 0
          this.socket = socket ?? undefined
          callback(...([error, socket] as Parameters<buildConnector.Callback>))
        })
      },
    })
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    ;(handler as Assignable).assigned?.(this)
    return super.dispatch(options, handler)
  }

  serve(): boolean {
    this.served += 1
    return this.served > 1
  }

  expectNoBody(): void {
    if (this.socket !== undefined) forgetContentLength(this.socket)
  }
}
