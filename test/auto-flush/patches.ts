import type { ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'

export type Write = (...args: unknown[]) => boolean

/** What many a middleware does: keep `res.write`, and put something around it. */
export function patchWrite(res: ServerResponse): void {
  const { write } = res as { write: Write }
  res.write = function patched(...args: unknown[]) {
    return write.apply(res, args)
  } as typeof res.write
}

export const patching: RequestHandler = (_req, res, next) => {
  patchWrite(res)
  next()
}
