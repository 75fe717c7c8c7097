import type { IncomingMessage, ServerResponse } from 'node:http'

import { exceptionContained } from '../shared/channels.js'
import { cutResponse } from './cut-response.js'

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
 * Runs the clean-up of an exchange. An exception must not keep the exchange from its end: `destroy` of a stream from a
 * hook may throw, and so may a listener that answers an error twice.
 */
export function containRelease(req: IncomingMessage, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
  }
}
