import type { IncomingMessage, ServerResponse } from 'node:http'

/** Passes control to the next handler, or an error to the application's error handlers. */
export type NextFunction = (error?: unknown) => void

/**
 * Handles one request. It fits `app.use` and routes of Express 4 and 5, and a bare `http.createServer` that passes a
 * `next` of its own. Without a function as `next`, it throws a TypeError.
 */
export type Middleware<Request extends IncomingMessage = IncomingMessage> = (
  req: Request,
  res: ServerResponse,
  next: NextFunction,
) => void
