import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import type { Handler } from './hosts.js'

/** Middlewares in front of a whole application, which must change nothing in it. */
export interface Judged {
  readonly handlers: readonly Handler[]
  /** Whether the server is attached as well. */
  readonly attaches: boolean
}

const notHere: Handler = onlyUnder('/of-the-proxy', passthroughProxy('http://127.0.0.1:1'))

/** Each middleware alone, and all together. */
export const judged: Readonly<Record<string, Judged>> = {
  maxBytes: { handlers: [maxBytes('20mb')], attaches: false },
  bodyCache: { handlers: [bodyCache({ memory: '16kb' })], attaches: false },
  autoFlush: { handlers: [autoFlush()], attaches: false },
  passthroughProxy: { handlers: [notHere], attaches: false },
  attach: { handlers: [], attaches: true },
  'all of them': {
    handlers: [maxBytes('20mb'), bodyCache({ memory: '16kb' }), autoFlush(), notHere],
    attaches: true,
  },
}

function onlyUnder(path: string, handler: Handler): Handler {
  return function onlyUnderMiddleware(req, res, next) {
    if (req.url?.startsWith(path) === true) handler(req, res, next)
    else next()
  }
}
