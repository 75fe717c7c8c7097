import type { Attempt, Failure, Receiver, Upstream, UpstreamRequest } from '../upstream.js'
import { ControlledDispatch } from './controlled.js'
import type { Dispatcher } from './dispatcher.js'
import { InContext } from './in-context.js'
import { Queues } from './queues.js'
import { watchSockets } from './sockets.js'

/** Creates an upstream that uses a dispatcher of the caller, who keeps it. */
export function dispatcherUpstream(dispatcher: Dispatcher): Upstream {
  return new DispatcherUpstream(dispatcher)
}

const QUEUE_FULL: Failure = { kind: 'queue-full', maybeHeard: false, cause: undefined }

const overAtOnce: Attempt = { bytesSent: 0, abandon() {} }

class DispatcherUpstream implements Upstream {
  private readonly dispatcher: Dispatcher
  private readonly queues = new Queues()

  constructor(dispatcher: Dispatcher) {
    this.dispatcher = dispatcher
    watchSockets()
  }

  send(request: UpstreamRequest, receiver: Receiver): Attempt {
    const queue = this.queues.of(request.origin)
    if (queue.waiting >= request.maxQueue) return refuse(receiver, QUEUE_FULL)
    const dispatched = new ControlledDispatch(request, new InContext(receiver), this.dispatcher, queue)
    dispatched.dispatch()
    return dispatched
  }

  /** Leaves the dispatcher open, as the caller owns it. */
  close(): void {}
}

function refuse(receiver: Receiver, failure: Failure): Attempt {
  receiver.onFailure(failure)
  return overAtOnce
}
