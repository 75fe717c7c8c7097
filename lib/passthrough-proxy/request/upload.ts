import { announceCloseOf } from '../../body/refused/announce-close.js'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

import { bodySourceOf, findBodySource } from '../../body/tap.js'
import { tellOnFinished } from '../../node/tell-on-finished.js'
import type { UpstreamRequest } from '../upstream/upstream.js'
import { keepBack } from './hold-back.js'
import { destroyGiven, type Outgoing } from './outgoing.js'

/** Tells whether the body of a request has been read to its end. */
export function isBodyRead({ body }: UpstreamRequest): boolean {
  return !(body instanceof Readable) || body.readableEnded
}

/** Keeps the client's body for another target. */
export function keepBody(outgoing: Outgoing | undefined, req: IncomingMessage): void {
  keepBack(req)
  if (outgoing !== undefined) destroyGiven(outgoing, req)
}

/** Notes that the proxy, which may have been the last reader of a body after its answer, reads it no more. */
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
