import { contain } from '../../node/contained.js'
import type { ServerResponse } from '../../node/http.js'
import type { ParsedRequest } from '../../node/internals.js'
import { onResponseClose } from '../../node/response/close.js'
import { discardHeaders, type Method, wrapMethod } from '../../node/response/methods.js'
import { answerPlainly } from '../../node/response/plain-answer.js'
import { isHeadWritten } from '../../node/response/send-head.js'
import { readableStateOf } from '../../node/streams/state.js'
import { timers } from '../../node/timers.js'
import type { SluicewayError } from '../../shared/errors.js'

/**
 * Answers a request whose body was refused: with the application's own answer if it reports an error, else with ours.
 *
 * A parser that ignores the error, or hides it in another one, lets a handler answer as if half a body were the
 * whole. So an answer below 400, and a 500 (of code that did not recognise the error), is replaced by the refusal.
 * Any other status was chosen, and is kept. A head that has been sent cannot be taken back.
 */
export class RefusedAnswer {
  private readonly res: ServerResponse
  private readonly error: SluicewayError
  /** The response's own `end`. */
  private readonly end: ServerResponse['end']
  private isDecided = false
  /** True once our answer has been sent and everything else that the application writes is discarded. */
  private isOurs = false

  constructor(res: ServerResponse, error: SluicewayError) {
    this.res = res
    this.error = error
    // It is later called with the response as `this`.
    // oxlint-disable-next-line typescript/unbound-method
    this.end = res.end
    this.guard()
  }

  /** Answers after `delay` milliseconds, or as soon as all listeners that got the error have had their turn. */
  answerIfNobodyDoes(delay: number): void {
    const timer = timers.setTimeout(() => contain(this.res, () => this.decide(0)), delay).unref()
    this.res.once('close', () => timers.clearTimeout(timer))
  }

  /** Checks the status with which the application begins its answer, before any of it is written. */
  private decide(status: number): void {
    if (this.isDecided || isHeadWritten(this.res) || this.res.destroyed) return
    this.isDecided = true
    // A 500 of ours is what the application reports, on its own page.
    if (status < 400 || (status === 500 && this.error.status !== 500)) this.refuse()
  }

  private guard(): void {
    const { res } = this
    wrapMethod(res, 'writeHead', (_, inner, args) => this.pass(Number(args[0]), inner, args, res))
    wrapMethod(res, 'write', (_, inner, args) => this.pass(res.statusCode, inner, args, true))
    wrapMethod(res, 'end', (_, inner, args) => this.pass(res.statusCode, inner, args, res))
  }

  /**
   * Runs a method with which an answer may begin. If the answer is already ours, it only returns `result`, and calls
   * the callback among the arguments once the response is over, as a handler may wait for that.
   */
  private pass(status: number, inner: Method, args: unknown[], result: unknown): unknown {
    this.decide(status)
    if (!this.isOurs) return inner.apply(this.res, args)
    const callback = args.find((given) => typeof given === 'function')
    if (callback !== undefined) onResponseClose(this.res, () => void Reflect.apply(callback, this.res, []))
    return result
  }

  private refuse(): void {
    const { res, error } = this
    answerPlainly(res, error, (body) => void Reflect.apply(this.end, res, [body]))
    this.isOurs = true
    discardHeaders(res)
  }
}

/** Tells whether an error of the body reaches a listener that may answer, or a reader that has not begun yet. */
export function isHeard(req: ParsedRequest): boolean {
  const { flowing, pipes } = readableStateOf(req)
  return (
    flowing === null ||
    req.listenerCount('error') > 0 ||
    // pipe() itself listens for errors of its destination.
    pipes.some((destination) => destination.listenerCount('error') > 1)
  )
}
