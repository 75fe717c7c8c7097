import type { IncomingMessage, ServerResponse } from 'node:http'

import { exceptionContained } from '../shared/channels.js'
import type { NextFunction } from '../shared/middleware.js'
import { giveUpUpload } from './request/outgoing-body.js'

/** The exchange as the report of its failure sees it. */
interface Failed {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly next: NextFunction
  readonly answer: { readonly isBegun: boolean; readonly isClosed: boolean; cut(): void }
}

/** Passes an error to `next`. Its exceptions stop here, as events of the upstream's connection call this. */
export function tellError(error: unknown, { req, res, next, answer }: Failed): void {
  try {
    if (answer.isBegun) answer.cut()
    else giveUpUpload(req, res)
    next(error)
  } catch (thrown) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error: thrown })
    if (!answer.isClosed) answer.cut()
  }
}
