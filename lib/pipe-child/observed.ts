import type { IncomingMessage, ServerResponse } from 'node:http'
import { isClosed } from '../node/response/close.js'
import { isHeadWritten } from '../node/response/send-head.js'
import { timers } from '../node/timers.js'
import { childExited, childStarted } from '../shared/channels.js'

interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

/** Publishes the start and the exit of a child, if there are subscribers. */
export function observed<Result extends Exit>(
  res: ServerResponse,
  child: object,
  run: () => Promise<Result>,
): Promise<Result> {
  const isObserved = childStarted.isObserved || childExited.isObserved
  // A response that is pushed over HTTP/2 has no request, of which subscribers could be told.
  if (!isObserved || (res.req as IncomingMessage | null) === null) return run()
  childStarted.tell({ req: res.req, res, child })
  return publishExit(res, child, run)
}

async function publishExit<Result extends Exit>(
  res: ServerResponse,
  child: object,
  run: () => Promise<Result>,
): Promise<Result> {
  const startedAt = timers.now()
  let end: Exit & { readonly error?: unknown } = { code: null, signal: null }
  try {
    const exit = await run()
    end = exit
    return exit
  } catch (error) {
    end = { ...end, error }
    throw error
  } finally {
    const { code, signal, error } = end
    const durationMs = timers.now() - startedAt
    // After the head, pipeChild answers an error by cutting the response, which closes it too.
    const isCut = error !== undefined && isHeadWritten(res)
    const isClientGone = isClosed(res) && !res.writableEnded && !isCut
    childExited.tell({ req: res.req, res, child, code, signal, durationMs, isClientGone, error })
  }
}
