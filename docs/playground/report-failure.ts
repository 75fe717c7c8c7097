import type { ErrorRequestHandler } from 'express'

/** Answers a failure as JSON, so that the page can say what went wrong. */
export const reportFailure: ErrorRequestHandler = (error, req, res, next) => {
  if (res.headersSent) {
    next(error)
    return
  }
  const { status = 500, expose = false, message, code, limit, received, length, issues } = error
  res
    .status(status)
    .json({ error: expose ? message : 'internal error', code, limit, received, length, issues })
}
