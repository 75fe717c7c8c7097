import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

import { findBodySource } from '../../body/tap.js'
import { forgetFlow, hasListeners } from '../../node/stream-state.js'
import { sluicewayError } from '../../shared/errors.js'

/** The requests whose bodies are held back while they wait for a connection. */
const held = new WeakSet<IncomingMessage>()

/**
 * Holds a body back until it is sent. Another reader, such as one that counts bytes, gets them together with the
 * upstream; without this, the bytes that come while the request waits for a connection would reach only that reader.
 */
export function holdBack(body: Readable): void {
  if (body.readableFlowing === true) body.pause()
}

/** Holds the body of a waiting request back from readers that are added meanwhile. A kept body is whole for each. */
export function holdWaiting(req: IncomingMessage): void {
  if (req.readableFlowing !== null || findBodySource(req)?.store !== undefined) return
  req.pause()
  held.add(req)
}

/** Notes that the body of a request is about to be sent. Returns false if code has read from it in spite of the hold. */
export function isStillHeld(req: IncomingMessage): boolean {
  return !held.delete(req) || !req.readableDidRead
}

/** Creates the error for a body of which another reader has taken bytes. */
export function alreadyRead(): Error {
  return sluicewayError('ERR_SLUICEWAY_BODY_ALREADY_READ', {
    message:
      'passthroughProxy: the request body was already read by another middleware; mount bodyCache() before it',
  })
}

/** Leaves the body of a request that is not sent to its other readers, present and later ones. */
export function leaveToReaders(req: IncomingMessage): void {
  if (!held.delete(req)) return
  if (hasListeners(req)) req.resume()
  else forgetFlow(req)
}
