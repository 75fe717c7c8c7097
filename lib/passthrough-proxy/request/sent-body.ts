import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { announceCloseOf } from '../../body/refused/announce-close.js'
import { bodySourceOf, findBodySource } from '../../body/source-of.js'
import { tellOnFinished } from '../../node/request/tell-on-finished.js'
import { requestBodyError } from '../hooks.js'
import type { UpstreamRequest } from '../upstream/upstream.js'
import { isChangedBodyOf, readBefore } from './changed-body.js'
import { holdWaiting, keepBack, leaveToReaders } from './hold-back.js'
import type { SentRequest } from './sent-request.js'

/*
 * The body of a request from the moment when it is to be sent. The client's body stays with its request and its other
 * readers; a body that a hook gave belongs to the proxy, which destroys it in the end.
 */

/** Listens for errors of a hook's body for good: it may fail before any of it is read, and after the exchange. */
export function onBodyError(
  { body }: UpstreamRequest,
  req: IncomingMessage,
  listener: (error: Error) => void,
): void {
  if (body !== req && body instanceof Readable) body.on('error', listener)
}

/** Throws if the body of a hook has failed, or was read to its end, before it is sent. */
export function requireSoundBody({ body }: UpstreamRequest, req: IncomingMessage): void {
  if (body === req || !(body instanceof Readable)) return
  if (body.errored) throw requestBodyError(body.errored)
  if (body.readableEnded) throw requestBodyError(readBefore())
}

/** Holds the client's body back from readers that are added while the request waits for a connection. */
export function holdBody({ body }: UpstreamRequest, req: IncomingMessage): void {
  if (body === req || isChangedBodyOf(req, body)) holdWaiting(req)
}

/** Tells whether a request was handed over, and its body has been read to its end. */
export function isBodyRead(sent: UpstreamRequest | undefined): boolean {
  const body = sent?.body
  return body instanceof Readable ? body.readableEnded : sent !== undefined
}

/** Keeps the client's body for another target. */
export function keepBody(sent: SentRequest | undefined, req: IncomingMessage): void {
  keepBack(req)
  if (sent !== undefined) destroyGiven(sent, req)
}

/** Ends the sending of a body, or the wait for it. */
export function releaseBody(sent: SentRequest | undefined, req: IncomingMessage): void {
  sent?.giveBack()
  if (sent?.hasStreamedBody !== false) leaveToReaders(req)
  if (sent !== undefined) destroyGiven(sent, req)
}

/** Destroys the rest of a hook's body. */
function destroyGiven({ body }: SentRequest, req: IncomingMessage): void {
  if (body !== req && body instanceof Readable && !body.destroyed) body.destroy()
}

/** Returns the error of a body that has failed: the client's as it is, or that of a hook. Otherwise undefined. */
export function errorOfBody(cause: unknown, sent: SentRequest | undefined, req: IncomingMessage): unknown {
  if (cause === undefined || cause === null) return undefined
  if (cause === req.errored) return cause
  const body = sent?.body
  return body instanceof Readable && body !== req && isLost(body, cause) ? requestBodyError(cause) : undefined
}

/** Tells whether a body has failed with this error, or was closed without any before its end. */
function isLost(body: Readable, cause: unknown): boolean {
  return body.errored === cause || (body.destroyed && !body.errored && !body.readableEnded)
}

/** Notes that the proxy, which may have been the last reader of a body after its answer, no longer reads it. */
export function noteLeft(req: IncomingMessage): void {
  findBodySource(req)?.readerIsDone(true)
}

/** Discards the rest of an upload, which has no reader any more. Node discards it only if no code has read from it. */
export function giveUpUpload(req: IncomingMessage, res: ServerResponse): void {
  if (req.complete || req.destroyed) return
  const source = req.readableDidRead ? bodySourceOf(req, res) : findBodySource(req)
  if (source !== undefined) announceCloseOf(source)
  tellOnFinished(req)
}
