import type { Duplex } from 'node:stream'
import { inspect } from 'node:util'
import { sluicewayError, type SluicewayError } from '../shared/errors.js'
import { type Linked, LinkedList } from '../shared/linked-list.js'

/** The two ends of a tunnel. */
export interface TunnelEnds {
  readonly client: Duplex
  readonly upstream: Duplex
}

/** A request in progress. */
export interface Stoppable extends Linked<Stoppable> {
  /** Ends the request because its proxy is being destroyed. */
  stop(): void
}

/** The numbers of requests and tunnels of one proxy that are in progress. */
export interface ProxyStats {
  /** Requests, from their arrival at the proxy until their responses have been passed to the client's connection. */
  readonly requests: number
  /** Connections that were upgraded, and are not closed on both sides. */
  readonly tunnels: number
}

/** The requests and tunnels of one proxy that are in progress. */
export class Progress {
  private readonly requests = new LinkedList<Stoppable>()
  private readonly tunnels = new Set<TunnelEnds>()
  /** The responses that are discarded behind their requests, so that the connections can be used again. */
  private readonly rests = new LinkedList<Stoppable>()
  /** The requests that came after the proxy was closed. */
  private readonly late = new WeakSet<Stoppable>()
  private done: Promise<void> | undefined
  private tellDone: (() => void) | undefined

  /** Returns the numbers, which change as requests come and go. */
  stats(): ProxyStats {
    const { requests, tunnels } = this
    const stats = {
      get requests() {
        return requests.size
      },
      get tunnels() {
        return tunnels.size
      },
    }
    // Otherwise console.log would show two getters, and no numbers.
    return Object.defineProperty(stats, inspect.custom, { value: () => ({ ...stats }) })
  }

  begin(request: Stoppable): void {
    this.requests.add(request)
    if (this.done !== undefined) this.late.add(request)
  }

  /** Tells whether a request came after the proxy was closed. One that came before may still be asking its hooks. */
  isLate(request: Stoppable): boolean {
    return this.late.has(request)
  }

  end(request: Stoppable): void {
    this.requests.delete(request)
    this.tellDone?.()
  }

  /** Counts a tunnel until both of its ends are closed. */
  follow(ends: TunnelEnds): void {
    this.tunnels.add(ends)
    onceClosed(ends, () => {
      this.tunnels.delete(ends)
      this.tellDone?.()
    })
  }

  /** Lists a response that is being discarded. Its connection is of no use to a proxy that is closed. */
  beginRest(rest: Stoppable): void {
    if (this.done === undefined) this.rests.add(rest)
    else rest.stop()
  }

  endRest(rest: Stoppable): void {
    this.rests.delete(rest)
  }

  /** Resolves as soon as nothing is in progress. From now on, no response is discarded. */
  whenDone(): Promise<void> {
    for (const rest of this.rests.toArray()) rest.stop()
    this.done ??= new Promise((resolve) => {
      this.tellDone = () => this.isIdle && resolve()
      this.tellDone()
    })
    return this.done
  }

  /** Ends everything at once. */
  stopAll(): void {
    for (const request of this.requests.toArray()) request.stop()
    for (const { client, upstream } of this.tunnels) {
      client.destroy()
      upstream.destroy()
    }
  }

  private get isIdle(): boolean {
    return this.requests.size === 0 && this.tunnels.size === 0
  }
}

/** The settings that shutting down needs. */
interface Proxied {
  readonly upstream: { close(): void }
  readonly progress: Progress
}

/** The members of a proxy through which it is shut down. */
interface Lifecycle {
  readonly stats: ProxyStats
  close(): Promise<void>
  destroy(): Promise<void>
}

/** Returns the part of a proxy that shuts it down; `PassthroughProxy` describes it. */
export function lifecycleOf({ upstream, progress }: Proxied): Lifecycle {
  const close = (): Promise<void> => {
    upstream.close()
    return progress.whenDone()
  }
  const destroy = (): Promise<void> => {
    const closed = close()
    progress.stopAll()
    return closed
  }
  return { stats: progress.stats(), close, destroy }
}

/** Creates the error for a request that came after `close()`, or is ended by `destroy()`. */
export function proxyClosed(): SluicewayError {
  return sluicewayError('ERR_SLUICEWAY_UPSTREAM_UNREACHABLE', { message: 'the proxy was closed' })
}

/** Calls `listener` once both ends of a tunnel are closed. */
export function onceClosed({ client, upstream }: TunnelEnds, listener: () => void): void {
  const open = [client, upstream].filter((end) => !end.closed)
  let left = open.length
  const closed = (): void => {
    left -= 1
    if (left === 0) listener()
  }
  for (const end of open) end.on('close', closed)
  if (left === 0) listener()
}
