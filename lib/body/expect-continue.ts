import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OutgoingResponse } from '../node/internals.js'
import { CONTINUE } from '../node/keys.js'
import { awaitsContinue, type ExpectingRequest } from '../node/request/awaits-continue.js'
import { isHttp2 } from '../node/request/facts.js'
import { replaceRead } from '../node/request/methods.js'
import { isAwaitedByOthers, tellOnFinished } from '../node/request/tell-on-finished.js'
import { awaitContinue, runBefore } from '../node/response/methods.js'
import { beforeHead, isHeadSent, sendBeforeHead } from '../node/response/send-head.js'
import { announceClosing, closeAfter, hasInvited, lengthBeforeHead } from '../node/response/state.js'
import { isAwaited } from '../node/streams/awaited-listener.js'
import { flowsUnread } from '../node/streams/listeners.js'
import { letFlow, sourceOf } from '../node/streams/state.js'
import { timers } from '../node/timers.js'
import { readWhileClosing } from './refused/read-while-closing.js'
import type { ToldWaiting } from './views.js'

interface InvitedBody {
  /** False once the body was refused: its client must not send it. */
  readonly isReadable: boolean
  readonly waiting: ToldWaiting | undefined
}

interface EndListeners {
  /** The listeners for 'end' that other code has added. */
  readonly endListeners: readonly unknown[]
}

/**
 * Holds `100 Continue` back until the body of `req` is first read, or until a response below 400 begins: its handler may
 * read later, and after the head a 100 would be too late. Over HTTP/2 it is sent at once, as Node does. The request keeps
 * its prototype, which Express changes as well; only `_read` becomes its own.
 * @see RFC 9110 §10.1.1
 */
export function continueOnRead(req: IncomingMessage, res: ServerResponse): void {
  if (isHttp2(req)) {
    res.writeContinue()
    return
  }
  ;(req as ExpectingRequest)[CONTINUE] = res
  replaceRead(req, readExpected)
  beforeHead(res, () => {
    if (mayBeRead(res)) sendContinue(req)
  })
  closeIfNotInvited(req, res)
}

/** A response with such a status may begin before its handler reads the body. */
function mayBeRead(res: ServerResponse): boolean {
  return res.statusCode < 400
}

/**
 * Closes the connection if the response ends without a 100, because the body may still follow; once the body has
 * arrived, it need not. Node decides this in `writeHead`, before a handler that reads afterwards.
 */
function closeIfNotInvited(req: IncomingMessage, res: ServerResponse): void {
  // A length that is known before the head is that of `res.end(…)`: no reader follows.
  awaitContinue(res, () => !req.complete && (!mayBeRead(res) || lengthBeforeHead(res) !== undefined))
  runBefore(res, 'end', () => {
    if (mayStillSend(req, res)) announceClosing(res)
  })
  // Other code may call Node's own methods, or put them back. The next request would be taken for the body.
  res.once('prefinish', () => {
    if (!mayStillSend(req, res)) return
    closeAfter(res as OutgoingResponse)
    readWhileClosing(req, res)
  })
}

/** Tells whether a body may follow that nothing has invited. An application may have sent a 100 by itself. */
function mayStillSend(req: IncomingMessage, res: ServerResponse): boolean {
  return awaitsContinue(req) && !req.complete && !hasInvited(res as OutgoingResponse)
}

/**
 * Sends `100 Continue` if the client of `req` waits for it, and neither was its body refused nor a head sent. For
 * readers that take the body without a listener on `req`.
 */
export function sendContinue(req: IncomingMessage): void {
  const expecting = req as ExpectingRequest
  const res = expecting[CONTINUE]
  const source = sourceOf(req) as InvitedBody | undefined
  if (res === undefined || source?.isReadable === false) return
  expecting[CONTINUE] = undefined
  if (isHeadSent(res)) {
    // The client may never send the body, and its next request would be taken for it.
    if (!req.complete && !hasInvited(res as OutgoingResponse)) closeAfter(res as OutgoingResponse)
    return
  }
  sendBeforeHead(res as OutgoingResponse)
  // A stream that already flows emits nothing when its first reader comes.
  source?.waiting?.note()
}

/** Replaces `req._read`: the first real reader makes the client send the body. */
function readExpected(this: IncomingMessage, size: number): void {
  // Code that polls calls `read()` itself, and the request does not flow.
  if (awaitsContinue(this) && flowsUnread(this) && !isEndAwaited(this)) {
    tellOnFinished(this)
    this.on('newListener', onLateReader)
    return
  }
  sendContinue(this)
  letFlow(this, size)
}

/**
 * Tells whether code discards the body and waits for its end, without on-finished: `req.resume().on('end', …)`, or a
 * promise of 'close'. Any other listener for 'close' wants to know whether the client leaves.
 */
function isEndAwaited(req: IncomingMessage): boolean {
  const { replay } = (sourceOf(req) ?? {}) as { readonly replay?: EndListeners | undefined }
  const endListeners = replay?.endListeners ?? req.listeners('end')
  const closeListeners = req.rawListeners('close') as (() => void)[]
  return isAwaitedByOthers(req, endListeners) || closeListeners.some(isAwaited)
}

/** Serves the first reader of a stream that already flows, which does not call `_read` again. */
function onLateReader(this: IncomingMessage, event: string | symbol): void {
  // on-finished is among these; who has listened is known only once the listener was added.
  if (event === 'end' || event === 'close') timers.nextTick(serveLateWaiter, this)
  if (event === 'data' || event === 'readable') serveLate(this)
}

/** Serves code that has discarded the body, and begins to wait for its end later. */
function serveLateWaiter(req: IncomingMessage): void {
  if (awaitsContinue(req) && req.readableFlowing === true && isEndAwaited(req)) serveLate(req)
}

function serveLate(req: IncomingMessage): void {
  req.off('newListener', onLateReader)
  sendContinue(req)
  letFlow(req, req.readableHighWaterMark)
}
