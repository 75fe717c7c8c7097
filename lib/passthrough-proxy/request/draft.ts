import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { findBodySource, bodySourceOf } from '../../body/source-of.js'
import { hasCutHead } from '../../node/request/facts.js'
import { sluicewayError } from '../../shared/errors.js'
import type { ProxySettings } from '../settings.js'
import type { Target } from '../target.js'
import { refusedRequest } from '../upstream-errors.js'
import { isChangedBodyOf } from './changed-body.js'
import { hasBody, type ClientHead } from './client-head.js'
import { addForwarded } from './forwarded.js'
import { readClientHead } from './headers.js'
import { holdBack } from './hold-back.js'
import { refuseLoop } from './loop.js'
import { Outgoing } from './outgoing.js'
import { requestPath, upstreamPath } from './path.js'
import { mayBeUnannounced } from './unannounced-body.js'

const BY_ANOTHER = 'was already read by another middleware; mount bodyCache() before it'
const BY_A_HOOK =
  'was read before it was sent, by onRequest for instance; set outgoing.body, or mount bodyCache() before the proxy'

/** A request before it is sent: the client's, with the changes of hooks. */
export interface Draft {
  readonly req: IncomingMessage
  readonly settings: ProxySettings
  readonly target: Target
  readonly head: ClientHead
  /** What `onRequest` gets, and may change. */
  readonly outgoing: Outgoing
  /** True if the request may be sent to another target, so that its body is not read before it has a connection. */
  readonly mayMove: boolean
}

/** A request as it comes to the proxy. */
interface Received {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly settings: ProxySettings
}

/**
 * Reads the client's head: removes its hop-by-hop lines, and adds lines that describe the client. Holds the body back
 * until it is sent. Throws if it was read before: `failure`, the error of an earlier attempt, if there was one.
 */
export function readHead({ req, res, settings }: Received, failure?: Error): ClientHead {
  if (hasCutHead(req)) throw bodySourceOf(req, res).failure ?? sluicewayError('ERR_SLUICEWAY_HEAD_CUT')
  const head = readClientHead(req)
  const isGone = expectsBody(req, head) && !isUnread(req, head)
  if (isGone) throw failure === undefined ? alreadyRead(BY_ANOTHER) : (bodyError(req) ?? failure)
  holdBack(req)
  addForwarded(head, req, settings.forwarded)
  return head
}

/**
 * Throws if a hook has read the client's body that has to be sent: the server would take what is left for the whole.
 */
export function requireUnread({ req, head, outgoing: { body } }: Draft): void {
  const isOwn = body === req || isChangedBodyOf(req, body)
  if (isOwn && expectsBody(req, head) && !isUnread(req, head)) throw alreadyRead(BY_A_HOOK)
  if (isOwn) holdBack(req)
  else if (body instanceof Readable) holdBack(body)
}

function expectsBody(req: IncomingMessage, head: ClientHead): boolean {
  return hasBody(head) || mayBeUnannounced(req, head)
}

/** Tells whether the body is unread, or bodyCache has made the request look unread. */
function isUnread(req: IncomingMessage, head: ClientHead): boolean {
  // The end of a pipe pauses before it removes its listeners; at a second pause, bodyCache sees that no reader is
  // left.
  if (req.readableDidRead && req.isPaused()) req.pause()
  if (req.readableDidRead) return false
  // Nothing is lost of a body that has ended without a byte, or that was not even announced.
  const wasEmpty = req.readableEnded && head.contentLength === undefined
  return wasEmpty || !hasBody(head) || !(req.readableEnded || req.destroyed)
}

/** Creates the error for a body from which another reader has taken bytes. */
function alreadyRead(how: string): Error {
  const message = `passthroughProxy: the request body ${how}`
  return sluicewayError('ERR_SLUICEWAY_BODY_ALREADY_READ', { message })
}

/** Returns the error with which the body itself has failed, for instance because it was too large. */
function bodyError(req: IncomingMessage): Error | undefined {
  return findBodySource(req)?.failure ?? req.errored ?? undefined
}

/**
 * Creates the request as it would be sent, for `onRequest` to change. `mayMove` tells that it may be sent to another
 * target if this one cannot be reached.
 */
export function draftOf(
  { req, settings }: Received,
  target: Target,
  head: ClientHead,
  mayMove: boolean,
): Draft {
  refuseLoop(head, target.mark)
  // As in http.request: an application may have set another one, in lower case.
  const method = req.method?.toUpperCase() as string
  // Over HTTP/2, an application may give the proxy requests of the event 'connect', which have no path.
  if (method === 'CONNECT') throw refusedRequest('CONNECT asks for a tunnel')
  const path = upstreamPath(target, requestPath(req, settings.path))
  const drafted = { method, path, lines: head.lines }
  const outgoing = new Outgoing(drafted, req, hasBody(head))
  return { req, settings, target, head, outgoing, mayMove }
}
