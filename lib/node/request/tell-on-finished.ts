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
