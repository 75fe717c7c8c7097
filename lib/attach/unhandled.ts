import type { RequestListener } from 'node:http'
import { answerAfterHandlers } from '../node/express.js'
import type { ServerResponse } from '../node/http.js'
import { cutResponse } from '../node/response/cut.js'
import { answerPlainly } from '../node/response/plain-answer.js'
import { isHeadWritten } from '../node/response/send-head.js'

const NOT_FOUND = { status: 404 }

/** Answers an upgrade that nothing has taken: with the app's own 404, or with its page for an error. */
export function answerUnhandled(app: RequestListener, res: ServerResponse, error?: unknown): void {
  if (answerAfterHandlers(app, res, error)) return
  if (isHeadWritten(res)) cutResponse(res)
  else answerPlainly(res, error || NOT_FOUND)
}
