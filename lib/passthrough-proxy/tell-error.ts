import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerPlainly } from '../node/response/plain-answer.js'
import { exceptionContained } from '../shared/channels.js'
import type { GivenNext } from './proxy-handler.js'
import { giveUpUpload } from './request/outgoing-body.js'

/** The exchange as the report of its failure sees it. */
interface Failed {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly next: GivenNext
  readonly answer: { readonly isBegun: boolean; readonly isClosed: boolean; cut(): void }
}

/**
 * Passes an error to `next`, or answers it without one: `http.createServer(proxy)` has nothing else that would.
 * Exceptions of both stop here, as events of the upstream's connection call this.
 */
export function tellError(error: unknown, { req, res, next, answer }: Failed): void {
  try {
    if (answer.isBegun) answer.cut()
    else giveUpUpload(req, res)
    if (next !== undefined) next(error)
    else if (!answer.isBegun) answerPlainly(res, error)
  } catch (thrown) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error: thrown })
    if (!answer.isClosed) answer.cut()
  }
}
