import type { ServerResponse } from 'node:http'
import { onResponseClose } from '../node/response-close.js'

/** The source of a request's body. It cannot be found there once the application gives the request another stream state. */
interface ReleasedBody {
  release(): void
}

/** Releases the body of a request as soon as its response was sent: before Node passes the connection on. */
export function releaseWhenSent(res: ServerResponse, body: ReleasedBody): void {
  res.prependListener('finish', () => body.release())
}

/** Releases it when its response is over, even if it was not sent. */
export function releaseWhenClosed(res: ServerResponse, body: ReleasedBody): void {
  onResponseClose(res, () => body.release())
}
