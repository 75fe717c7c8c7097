import { timers } from '../../../node/timers.js'

/** The request as its timer sees it. */
export interface TimedRequest {
  /** True while it is being sent, so that the client is awaited and not the upstream. */
  readonly isBeingSent: boolean
  timeOut(): void
}

/** Limits the time until the final head after interim responses: undici starts its wait again at each of them. */
export class HeadTimer {
  private readonly request: TimedRequest
  private readonly timeoutMs: number
  private timer: NodeJS.Timeout | undefined

  /** `timeoutMs` is the time that the upstream may take, of which `waitedMs` have passed. 0: no limit. */
  constructor(request: TimedRequest, timeoutMs: number, waitedMs: number) {
    this.request = request
    this.timeoutMs = timeoutMs
    if (timeoutMs > 0) this.wait(Math.max(timeoutMs - waitedMs, 0))
  }

  end(): void {
    timers.clearTimeout(this.timer)
  }

  private wait(ms: number): void {
    this.timer = timers.setTimeout(expire, ms, this)
  }

  expire(): void {
    if (this.request.isBeingSent) this.wait(this.timeoutMs)
    else this.request.timeOut()
  }
}

function expire(timer: HeadTimer): void {
  timer.expire()
}
