import type { Failure, Receiver, Upstream, UpstreamRequest, Waiting } from '../upstream.js'
import { ControlledDispatch } from './controlled.js'
import { Dispatched } from './dispatched.js'
import type { Dispatcher } from './dispatcher.js'
import { createPool } from './pool.js'
import { Queues } from './queues.js'

/** The way upstream through a dispatcher that the caller supplies, and keeps. */
export function dispatcherUpstream(dispatcher: Dispatcher): Upstream {
  return new DispatcherUpstream(dispatcher, ControlledDispatch)
}

/** The way upstream through a pool of our own; to one `origin` where it is always the same. */
export function poolUpstream(
  options: { readonly maxConnections: number; readonly connectTimeoutMs: number },
  origin: string | undefined,
): Upstream {
  const pool = createPool(options, origin)
  return new DispatcherUpstream(pool, Dispatched, () => pool.close())
}

const CLOSED: Failure = { kind: 'closed', maybeHeard: false, cause: undefined }

const QUEUE_FULL: Failure = { kind: 'queue-full', maybeHeard: false, cause: undefined }

const nothingWaits: Waiting = { abandon() {} }

class DispatcherUpstream implements Upstream {
  private readonly dispatcher: Dispatcher
  private readonly Request: typeof Dispatched
  private readonly closePool: (() => Promise<void>) | undefined
  private readonly queues = new Queues()
  private isClosed = false

  constructor(dispatcher: Dispatcher, Request: typeof Dispatched, closePool?: () => Promise<void>) {
    this.dispatcher = dispatcher
    this.Request = Request
    this.closePool = closePool
  }

  send(request: UpstreamRequest, receiver: Receiver): Waiting {
    if (this.isClosed) return refuse(receiver, CLOSED)
    const queue = this.queues.of(request.origin)
    if (queue.waiting >= request.maxQueue) return refuse(receiver, QUEUE_FULL)
    const dispatched = new this.Request(request, receiver, this.dispatcher, queue)
    dispatched.dispatch()
    return dispatched
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    // It has nothing to say but that it was closed already.
    this.closePool?.().catch(() => {})
  }
}

function refuse(receiver: Receiver, failure: Failure): Waiting {
  receiver.onFailure(failure)
  return nothingWaits
}
