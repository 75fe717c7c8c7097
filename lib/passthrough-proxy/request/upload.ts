import { announceCloseOf } from '../../body/refused/announce-close.js'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

import { findBodySource } from '../../body/tap.js'
import { tellOnFinished } from '../../node/tell-on-finished.js'
import type { UpstreamRequest } from '../upstream/upstream.js'

/** Tells whether the body of a request has been read to its end. */
export function isBodyRead({ body }: UpstreamRequest): boolean {
  return !(body instanceof Readable) || body.readableEnded
}

/** Discards the rest of an upload, which has no reader any more. */
export function giveUpUpload(req: IncomingMessage): void {
  if (req.complete || req.destroyed) return
  const source = findBodySource(req)
  if (source !== undefined) announceCloseOf(source)
  tellOnFinished(req)
}
