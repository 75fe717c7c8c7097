import type { IncomingMessage } from 'node:http'
import { exceptionContained } from '../../shared/channels.js'
import { cutExchange } from '../response/cut.js'
import { timers } from '../timers.js'

/**
 * Makes finalhandler and body-parser answer at once. They discard the body (`resume()`) and wait through on-finished
 * for 'end' or 'finish' of the request, which may never come if the body is not read. A request has no 'finish' of
 * its own, so only on-finished reacts to this one.
 */
export function tellOnFinished(req: IncomingMessage): void {
  timers.nextTick(emitFinish, req)
  // Each waits separately: first body-parser, then finalhandler.
  req.off('newListener', onNewListener).on('newListener', onNewListener)
}

/**
 * Tells whether code other than on-finished, which has one listener for all of its callers, is among those that wait for
 * the end of a request.
 */
export function isAwaitedByOthers(req: IncomingMessage, endListeners: readonly unknown[]): boolean {
  const { __onFinished: onFinished } = req as { __onFinished?: unknown }
  return endListeners.length > (onFinished ? 1 : 0)
}

function onNewListener(this: IncomingMessage, event: string | symbol): void {
  if (event === 'finish') timers.nextTick(emitFinish, this)
}

/**
 * Emits 'finish'. If a listener throws while it answers, nothing else catches that: it ends this exchange instead
 * of the process.
 */
function emitFinish(req: IncomingMessage): void {
  try {
    req.emit('finish')
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
    cutExchange(req)
  }
}
