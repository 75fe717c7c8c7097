import type { RequestListener } from 'node:http'

import { type ServerResponse, STATUS_CODES } from '../node/http.js'
import { cutResponse } from '../node/cut-response.js'
import { answerBehind } from '../node/express.js'
import { isHeadWritten } from '../node/send-head.js'

/** Answers an upgrade that nothing has taken: with the app's own 404, or with its page for an error. */
export function answerUnhandled(app: RequestListener, res: ServerResponse, error?: unknown): void {
  if (answerBehind(app, res, error)) return
  if (isHeadWritten(res)) return cutResponse(res)
  const status = error ? statusOf(error) : 404
  res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(STATUS_CODES[status])
}

function statusOf(error: unknown): number {
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
  const named = status ?? statusCode
  return typeof named === 'number' && named >= 400 && named in STATUS_CODES ? named : 500
}
