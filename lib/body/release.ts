import type { ServerResponse } from 'node:http'
import { onResponseClose } from '../node/response-close.js'
import { sourceOf } from '../node/stream-state.js'

/** Releases the body of a request as soon as its response was sent: before Node passes the connection on. */
export function releaseWhenSent(res: ServerResponse): void {
  res.prependListener('finish', release)
}

/** Releases it when its response is over, even if it was not sent. */
export function releaseWhenClosed(res: ServerResponse): void {
  onResponseClose(res, release)
}

function release(this: ServerResponse): void {
  const source = sourceOf(this.req) as { release(): void } | undefined
  source?.release()
}
