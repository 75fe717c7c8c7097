import type { Failure, Receiver, Upstream, UpstreamRequest, Waiting } from '../upstream.js'
import { ControlledDispatch } from './controlled.js'
import type { Dispatcher } from './dispatcher.js'
import { InContext } from './in-context.js'
import { Queues } from './queues.js'
import { watchSockets } from './sockets.js'

/** The way upstream through a dispatcher that the caller supplies, and keeps. */
export function dispatcherUpstream(dispatcher: Dispatcher): Upstream {
  return new DispatcherUpstream(dispatcher)
}

const CLOSED: Failure = { kind: 'closed', maybeHeard: false, cause: undefined }

const QUEUE_FULL: Failure = { kind: 'queue-full', maybeHeard: false, cause: undefined }

const nothingWaits: Waiting = { bytesSent: 0, abandon() {} }

class DispatcherUpstream implements Upstream {
  private readonly dispatcher: Dispatcher
  private readonly queues = new Queues()
  private isClosed = false

  constructor(dispatcher: Dispatcher) {
    this.dispatcher = dispatcher
    watchSockets()
  }

  send(request: UpstreamRequest, receiver: Receiver): Waiting {
    if (this.isClosed) return refuse(receiver, CLOSED)
    const queue = this.queues.of(request.origin)
    if (queue.waiting >= request.maxQueue) return refuse(receiver, QUEUE_FULL)
    const dispatched = new ControlledDispatch(request, new InContext(receiver), this.dispatcher, queue)
    dispatched.dispatch()
    return dispatched
  }

  /** The dispatcher stays open: it is the caller's. */
  close(): void {
    this.isClosed = true
  }
}

function refuse(receiver: Receiver, failure: Failure): Waiting {
  receiver.onFailure(failure)
  return nothingWaits
}
