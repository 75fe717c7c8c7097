import { type ServerResponse, STATUS_CODES } from 'node:http'
import { contain } from '../../node/contained.js'
import type { ParsedRequest } from '../../node/internals.js'
import { isHttp2 } from '../../node/request-facts.js'
import { type Method, wrapMethod } from '../../node/response-methods.js'
import { readableStateOf } from '../../node/stream-state.js'
import type { SluicewayError } from '../../shared/errors.js'

/**
 * The answer to a request whose body was refused: the application's own where it says so, else ours.
 *
 * A parser that swallows the error, or hides it in another, lets a handler answer as if half a body were the whole.
 * So an answer below 400, and a 500 (the error of code that did not recognise ours), becomes the refusal.
 * Any other status was chosen, and stands. A head that is out cannot be taken back.
 */
export class RefusedAnswer {
  private readonly res: ServerResponse
  private readonly error: SluicewayError
  /** The response's own `end`. */
  private readonly end: ServerResponse['end']
  private isDecided = false
  /** True once our answer is out and whatever the application still writes is discarded. */
  private isOurs = false

  constructor(res: ServerResponse, error: SluicewayError) {
    this.res = res
    this.error = error
    // Kept to be called with the response as `this`.
    // oxlint-disable-next-line typescript/unbound-method
    this.end = res.end
    if (!res.headersSent) this.guard()
  }

  /** Answers after `delay` milliseconds, or as soon as all that heard of the error have had their turn. */
  answerIfNobodyDoes(delay: number): void {
    const timer = setTimeout(() => contain(this.res, () => this.decide(0)), delay).unref()
    this.res.once('close', () => clearTimeout(timer))
  }

  /** Looks at the status with which the application begins its answer, before anything of it is written. */
  private decide(status: number): void {
    if (this.isDecided || this.res.headersSent || this.res.destroyed) return
    this.isDecided = true
    if (status < 400 || status === 500) this.refuse()
  }

  private guard(): void {
    const { res } = this
    wrapMethod(res, 'writeHead', (_, inner, args) => this.pass(Number(args[0]), inner, args, res))
    wrapMethod(res, 'write', (_, inner, args) => this.pass(res.statusCode, inner, args, true))
    wrapMethod(res, 'end', (_, inner, args) => this.pass(res.statusCode, inner, args, res))
  }

  /** Runs a method with which an answer may begin, unless the answer is ours: then it only returns what it would. */
  private pass(status: number, inner: Method, args: unknown[], result: unknown): unknown {
    this.decide(status)
    return this.isOurs ? result : inner.apply(this.res, args)
  }

  private refuse(): void {
    const { res, error } = this
    for (const name of res.getHeaderNames()) {
      if (name.startsWith('content-') || name === 'etag' || name === 'last-modified') res.removeHeader(name)
    }
    const body = STATUS_CODES[error.status] ?? ''
    for (const [name, value] of Object.entries(error.headers ?? {})) res.setHeader(name, value)
    res.setHeader('Content-Type', 'text/plain; charset=utf-8')
    // Node adds none where one has been removed.
    res.setHeader('Content-Length', body.length)
    // Express 4 and others set a phrase of their own for the status that is not sent. HTTP/2 has no phrases.
    if (isHttp2(res.req)) res.writeHead(error.status)
    else res.writeHead(error.status, body)
    Reflect.apply(this.end, res, [body])
    this.isOurs = true
  }
}

/** Tells whether an error of the body reaches a listener that may answer, or a reader that has yet to begin. */
export function isHeard(req: ParsedRequest): boolean {
  const { flowing, pipes } = readableStateOf(req)
  return (
    flowing === null ||
    req.listenerCount('error') > 0 ||
    // pipe() itself listens for errors of its destination.
    pipes.some((destination) => destination.listenerCount('error') > 1)
  )
}
