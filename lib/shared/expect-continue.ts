import type { IncomingMessage, ServerResponse } from 'node:http'

import { letFlow } from './node-internals.js'
import { isHttp2 } from './request-facts.js'
import { isRead } from './request-readers.js'
import { answerWithoutBody } from './unread-body.js'

// Symbol.for: attach and the body source may come from different copies of this package (ESM and CJS).
const kContinue: unique symbol = Symbol.for('sluiceway.continue') as never

interface Expecting extends IncomingMessage {
  [kContinue]?: ServerResponse | undefined
}

/**
 * Holds `100 Continue` back until somebody reads the body of `req`. Over HTTP/2 it is sent at once, as Node does.
 * The request keeps its prototype (Express changes that too): only `_read` is its own.
 */
export function continueOnRead(req: IncomingMessage, res: ServerResponse): void {
  if (isHttp2(req)) {
    res.writeContinue()
    return
  }
  ;(req as Expecting)[kContinue] = res
  req._read = readExpected
}

/**
 * Sends `100 Continue` where the client of `req` waits for it and no head is out. For readers that
 * take the body without a listener on `req`.
 */
export function sendContinue(req: IncomingMessage): void {
  const expecting = req as Expecting
  const res = expecting[kContinue]
  if (res === undefined) return
  expecting[kContinue] = undefined
  // Node puts the head of a response that waits its turn in front of what it has queued, so in front of a 100.
  if (res.socket === null) res.once('socket', () => writeContinue(res))
  else writeContinue(res)
}

function writeContinue(res: ServerResponse): void {
  if (!res.headersSent) res.writeContinue()
}

/** In place of `req._read`: the first real reader brings the client's body on its way. */
function readExpected(this: IncomingMessage, size: number): void {
  const isAwaited = (this as Expecting)[kContinue] !== undefined
  if (isAwaited && !isRead(this)) {
    answerWithoutBody(this)
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
