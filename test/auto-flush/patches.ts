import type { ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'

export type Write = (...args: unknown[]) => boolean

/** Saves `res.write` and wraps it, as many middlewares do. */
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
