import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { expressVersions } from './express-versions.js'

/** A handler at the end of a chain. An error that it throws or rejects with is an error of the request. */
export type Handler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => unknown

/** Builds a request listener from middlewares and a last handler. */
export interface Host {
  readonly name: string
  readonly mount: (...handlers: readonly Handler[]) => RequestListener
}

/** Bare `http.createServer`, Express 4 and Express 5: every middleware works in each. */
export const hosts: readonly Host[] = [
  { name: 'bare http', mount: mountBare },
  ...expressVersions.map(({ name, express }) => ({
    name,
    mount: (...handlers: readonly Handler[]) => {
      const app = express()
      // In this mode Express does not print errors to stderr.
      app.set('env', 'test')
      for (const handler of handlers) app.use(handler)
      return app as RequestListener
    },
  })),
]

function mountBare(...handlers: readonly Handler[]): RequestListener {
  return (req, res) => {
    const run = (index: number, error?: unknown): void => {
      const handler = handlers[index]
      if (error !== undefined || handler === undefined) answer(res, error)
      else handler(req, res, (failure) => run(index + 1, failure))
    }
    run(0)
  }
}

function answer(res: ServerResponse, error: unknown): void {
  const { status = 500, message } = (error ?? { status: 404, message: 'Not Found' }) as Error & {
    status?: number
  }
  res.statusCode = status
  res.end(message)
}
