import type { IncomingMessage, ServerResponse } from 'node:http'

import type { OutgoingResponse } from '../node/internals.js'
import { CONTINUE } from '../node/keys.js'
import { isHttp2 } from '../node/request-facts.js'
import { replaceRead } from '../node/request-methods.js'
import { awaitContinue, queueHead } from '../node/response-methods.js'
import { hasListeners, letFlow, sourceOf } from '../node/stream-state.js'
import { tellOnFinished } from '../node/tell-on-finished.js'
import type { ToldWaiting } from './owner.js'

interface Expecting extends IncomingMessage {
  [CONTINUE]?: ServerResponse | undefined
}

/**
 * Holds `100 Continue` back until the body of `req` is first read. Over HTTP/2 it is sent at once, as Node does.
 * The request keeps its prototype (Express changes that too): only `_read` is its own.
 */
export function continueOnRead(req: IncomingMessage, res: ServerResponse): void {
  if (isHttp2(req)) {
    res.writeContinue()
    return
  }
  ;(req as Expecting)[CONTINUE] = res
  replaceRead(req, readExpected)
  // Without a 100 Node closes the connection, as a body may follow. It drops what is behind one that is there already.
  awaitContinue(res, () => !req.complete)
}

/**
 * Sends `100 Continue` where the client of `req` waits for it and no head is out. For readers that
 * take the body without a listener on `req`.
 */
export function sendContinue(req: IncomingMessage): void {
  const expecting = req as Expecting
  const res = expecting[CONTINUE]
  if (res === undefined) return
  expecting[CONTINUE] = undefined
  if (res.headersSent) return
  res.writeContinue()
  if (res.socket === null) queueHead(res as OutgoingResponse)
  // A stream that flows already tells of nothing when its first reader comes.
  ;(sourceOf(req) as { readonly waiting: ToldWaiting | undefined } | undefined)?.waiting?.note()
}

/** Tells whether the client of `req` waits for a `100 Continue`. */
export function awaitsContinue(req: IncomingMessage): boolean {
  return (req as Expecting)[CONTINUE] !== undefined
}

/** In place of `req._read`: the first real reader brings the client's body on its way. */
function readExpected(this: IncomingMessage, size: number): void {
  const isAwaited = (this as Expecting)[CONTINUE] !== undefined
  if (isAwaited && !hasListeners(this)) {
    tellOnFinished(this)
    this.on('newListener', onLateReader)
    return
  }
  sendContinue(this)
  letFlow(this, size)
}

/** A stream that flows already asks for nothing when it gets its first reader. */
function onLateReader(this: IncomingMessage, event: string | symbol): void {
  if (event !== 'data' && event !== 'readable') return
  this.off('newListener', onLateReader)
  sendContinue(this)
  letFlow(this, this.readableHighWaterMark)
}
