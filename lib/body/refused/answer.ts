import { type ServerResponse, STATUS_CODES } from 'node:http'
import { contain } from '../../node/contained.js'
import type { SluicewayError } from '../../shared/errors.js'
import type { ParsedRequest } from '../../node/internals.js'
import { isHttp2 } from '../../node/request-facts.js'

const ANSWER: unique symbol = Symbol.for('sluiceway.refusedAnswer') as never

type GuardedResponse = ServerResponse & { [ANSWER]: RefusedAnswer }

/**
 * The answer to a request whose body was refused: the application's own where it says so, else ours.
 *
 * A parser that swallows the error, or hides it in another, lets a handler answer as if half a body were the whole.
 * So an answer below 400, and a 500 (the error of somebody who did not recognise ours), becomes the refusal.
 * Any other status was chosen, and stands. A head that is out can not be taken back.
 */
export class RefusedAnswer {
  private readonly res: ServerResponse
  private readonly error: SluicewayError
  private readonly inner: Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'flushHeaders'>
  private isDecided = false
  /** True once our answer is out and whatever the application still writes goes nowhere. */
  private isOurs = false

  constructor(res: ServerResponse, error: SluicewayError) {
    this.res = res
    this.error = error
    // Kept to be called with the response as `this`.
    // oxlint-disable-next-line typescript/unbound-method
    const { writeHead, write, end, flushHeaders } = res
    this.inner = { writeHead, write, end, flushHeaders }
    if (!res.headersSent) this.guard()
  }

  /** Answers after `delay` milliseconds, or as soon as everybody who heard of the error has had his turn. */
  answerIfNobodyDoes(delay: number): void {
    const timer = setTimeout(() => contain(this.res, () => this.decide(0)), delay).unref()
    this.res.once('close', () => clearTimeout(timer))
  }

  /** Looks at the status with which the application begins its answer, before anything of it is written. */
  decide(status: number): void {
    if (this.isDecided || this.res.headersSent || this.res.destroyed) return
    this.isDecided = true
    if (status < 400 || status === 500) this.refuse()
  }

  /** Runs `method` as it was, unless the answer is ours. */
  pass(method: keyof RefusedAnswer['inner'], args: unknown[]): unknown {
    if (!this.isOurs) return Reflect.apply(this.inner[method], this.res, args)
    return method === 'write' ? true : this.res
  }

  private guard(): void {
    const { res } = this
    Object.assign(res, { [ANSWER]: this })
    res.writeHead = guardedWriteHead as typeof res.writeHead
    res.write = guardedWrite as typeof res.write
    res.end = guardedEnd as typeof res.end
    res.flushHeaders = guardedFlushHeaders
  }

  private refuse(): void {
    const { res, error } = this
    for (const name of res.getHeaderNames()) {
      if (name.startsWith('content-') || name === 'etag' || name === 'last-modified') res.removeHeader(name)
    }
    res.statusCode = error.status
    const body = STATUS_CODES[error.status] ?? ''
    // Express 4 and others set a phrase of their own for the status that is not sent. HTTP/2 has no phrases.
    if (!isHttp2(res.req)) res.statusMessage = body
    for (const [name, value] of Object.entries(error.headers ?? {})) res.setHeader(name, value)
    res.setHeader('Content-Type', 'text/plain; charset=utf-8')
    // Node adds none where one has been removed.
    res.setHeader('Content-Length', body.length)
    Reflect.apply(this.inner.end, res, [body])
    this.isOurs = true
  }
}

function guardedWriteHead(this: GuardedResponse, ...args: unknown[]): unknown {
  this[ANSWER].decide(Number(args[0]))
  return this[ANSWER].pass('writeHead', args)
}

function guardedWrite(this: GuardedResponse, ...args: unknown[]): unknown {
  this[ANSWER].decide(this.statusCode)
  return this[ANSWER].pass('write', args)
}

function guardedEnd(this: GuardedResponse, ...args: unknown[]): unknown {
  this[ANSWER].decide(this.statusCode)
  return this[ANSWER].pass('end', args)
}

function guardedFlushHeaders(this: GuardedResponse): void {
  this[ANSWER].decide(this.statusCode)
  this[ANSWER].pass('flushHeaders', [])
}

/** Tells whether an error of the body reaches a listener that may answer, or a reader that has yet to begin. */
export function isHeard(req: ParsedRequest): boolean {
  const { flowing, pipes } = req._readableState
  return (
    flowing === null ||
    req.listenerCount('error') > 0 ||
    // pipe() itself listens for errors of its destination.
    pipes.some((destination) => destination.listenerCount('error') > 1)
  )
}
