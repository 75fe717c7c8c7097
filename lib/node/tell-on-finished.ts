import type { IncomingMessage } from 'node:http'

import { exceptionContained } from '../shared/channels.js'

/**
 * Lets finalhandler and body-parser answer at once, which would wait for the end of a body that nothing will read: they
 * throw it away (`resume()`) and wait through on-finished for 'end' or 'finish' of the request, which may never come.
 * A request has no 'finish' of its own, so only on-finished hears this one.
 */
export function tellOnFinished(req: IncomingMessage): void {
  process.nextTick(emitFinish, req)
  // Each of them waits anew: first body-parser, then finalhandler.
  req.off('newListener', onNewListener).on('newListener', onNewListener)
}

function onNewListener(this: IncomingMessage, event: string | symbol): void {
  if (event === 'finish') process.nextTick(emitFinish, this)
}

/** An exception of a listener, as it answers, has no other catcher: it ends this connection, and not the process. */
function emitFinish(req: IncomingMessage): void {
  try {
    req.emit('finish')
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
    req.destroy()
  }
}
