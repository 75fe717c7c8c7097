import type { IncomingMessage, ServerResponse } from 'node:http'
import { exceptionContained } from '../shared/channels.js'
import { cutResponse } from './response/cut.js'

/**
 * Runs a callback of a timer or an event, where an exception would end the process. It cuts `res` instead: an
 * application or a library may have replaced any method of a response by one that throws.
 */
export function contain(res: ServerResponse, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req: res.req, error })
    cutResponse(res)
  }
}

/**
 * Runs code of the application that must neither end the process nor cut the answer: the `destroy` of a stream that a
 * hook gave, at the end of an exchange, or the listener of a stream whose source has failed.
 */
export function containWithoutCut(req: IncomingMessage, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
  }
}
