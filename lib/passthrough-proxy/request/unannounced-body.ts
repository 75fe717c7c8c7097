import type { IncomingMessage } from 'node:http'
import { mayHaveUnannouncedBody } from '../../node/request/facts.js'
import type { RequestHead } from './request-head.js'

/** Tells whether a request may have a body that appears only when it is read: function adapters announce none. */
export function mayBeUnannounced(req: IncomingMessage, { contentLength, chunked }: RequestHead): boolean {
  return contentLength === undefined && !chunked && mayHaveUnannouncedBody(req)
}

/** Waits until the body of a request begins, or ends without a byte. Returns true if it begins. */
export async function bodyBegins(req: IncomingMessage): Promise<boolean> {
  if (req.readableLength > 0) return true
  if (!req.readableEnded) await somethingComes(req)
  return req.readableLength > 0
}

/** Waits for 'readable' or 'end', which Node emits for an empty body. */
function somethingComes(req: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => void req.off('readable', come).off('end', come).off('close', fail)
    const come = (): void => {
      leave()
      resolve()
    }
    const fail = (): void => {
      leave()
      reject(req.errored ?? new Error('request closed'))
    }
    if (req.destroyed) fail()
    else req.on('readable', come).on('end', come).on('close', fail)
  })
}
