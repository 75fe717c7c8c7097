import type { Attempt, Failure, Receiver, Upstream, UpstreamRequest } from '../upstream.js'
import type { ConnectOptions } from './connect-options.js'
import { Connector } from './connector.js'
import { Delivery } from './delivery.js'
import { optionsKey } from './options-key.js'
import { Pool, type PoolSettings } from './pool.js'
import { type WrittenHead, requestHead } from './request-writer.js'

export interface ClientOptions extends PoolSettings {
  /** Options of `net.connect` and `tls.connect`. */
  readonly connect?: ConnectOptions | undefined
}

/** Creates an HTTP/1.1 client. All clients with equal options share their connections. */
export function createClient(options: ClientOptions): Upstream {
  return new Client(options)
}

/** The active pools of this process, by options and origin. */
const pools = new Map<string, Pool>()

const NO_HEAD: WrittenHead = { text: '', isChunked: false, isLast: false, logsIn: false }

class Client implements Upstream {
  private readonly options: ClientOptions
  private readonly key: string
  /** The pools that this client has joined. They are held weakly, as a pool ends after a while without requests. */
  private readonly joined = new WeakSet<Pool>()
  /** The origin of the last request; most requests go to the same one. */
  private origin = ''
  private pool: Pool | undefined
  private isClosed = false

  constructor(options: ClientOptions) {
    this.options = options
    this.key = optionsKey(options)
  }

  send(request: UpstreamRequest, receiver: Receiver): Attempt {
    let pool: Pool
    let head: WrittenHead
    try {
      pool = this.poolOf(request.origin)
      head = requestHead(request, pool.host)
    } catch (error) {
      return refused(request, receiver, { kind: 'unsendable', maybeHeard: false, cause: error })
    }
    const delivery = new Delivery(request, receiver, head)
    pool.send(delivery)
    return delivery
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    for (const pool of pools.values()) {
      if (this.joined.has(pool)) pool.leave()
    }
  }

  private poolOf(origin: string): Pool {
    if (origin !== this.origin || this.pool?.isForgotten !== false) {
      this.origin = origin
      this.pool = this.findPool(origin)
    }
    return this.pool
  }

  private findPool(origin: string): Pool {
    const key = `${this.key} ${origin}`
    const pool = pools.get(key) ?? this.openPool(key, origin)
    // A pool that no client has joined keeps no connection.
    if (this.isClosed || this.joined.has(pool)) return pool
    this.joined.add(pool)
    return pool.join()
  }

  private openPool(key: string, origin: string): Pool {
    const connector = new Connector(origin, this.options.connect ?? {})
    const pool = new Pool(connector, this.options, () => {
      // The key may belong to a new pool by now.
      if (pools.get(key) === pool) pools.delete(key)
    })
    pools.set(key, pool)
    return pool
  }
}

function refused(request: UpstreamRequest, receiver: Receiver, reason: Failure): Attempt {
  const delivery = new Delivery(request, receiver, NO_HEAD)
  delivery.failSoon(reason)
  return delivery
}
