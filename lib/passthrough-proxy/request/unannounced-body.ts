import type { IncomingMessage } from 'node:http'
import { mayHaveUnannouncedBody } from '../../node/request/facts.js'
import type { ClientHead } from './client-head.js'

/** Tells whether a request may have a body that appears only when it is read: function adapters announce none. */
export function mayBeUnannounced(req: IncomingMessage, { contentLength, chunked }: ClientHead): boolean {
  return contentLength === undefined && !chunked && mayHaveUnannouncedBody(req)
}

/** Waits until the body of a request begins, or ends without a byte. Returns true if it begins. */
export async function bodyBegins(req: IncomingMessage): Promise<boolean> {
  if (req.readableLength > 0) return true
  if (!req.readableEnded) await beginOrEnd(req)
  return req.readableLength > 0
}

/** Waits for 'readable', or for 'end', which Node emits for an empty body. Rejects if the request closes before. */
function beginOrEnd(req: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => void req.off('readable', done).off('end', done).off('close', fail)
    const done = (): void => {
      leave()
      resolve()
    }
    const fail = (): void => {
      leave()
      reject(req.errored ?? new Error('request closed'))
    }
    if (req.destroyed) fail()
    else req.on('readable', done).on('end', done).on('close', fail)
  })
}
