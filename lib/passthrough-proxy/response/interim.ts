import { sluicewayError } from '../../shared/errors.js'
import { headersTimeout } from '../upstream-errors.js'

/**
 * How much one request may get of interim responses: a megabyte of header lines, as long as each response counts
 * for 64 characters more. Go bounds their sum too; CPython and Ruby take 100, which reports of an upload's progress pass.
 */
const MOST_CHARACTERS = 1024 * 1024
const EACH = 64

/** The exchange, as its interim responses see it. */
export interface InterimOwner {
  /** The body of the request is still on its way. */
  readonly isSending: boolean
  breakOff(error: unknown): unknown
}

/**
 * The interim responses of one exchange: their bounds, and the time until the final one. undici takes each for a sign
 * of life, and waits anew.
 */
export class InterimResponses {
  private readonly owner: InterimOwner
  private readonly timeoutMs: number
  private characters = 0
  private timer: NodeJS.Timeout | undefined

  /** `timeoutMs` is what the upstream may take to begin its answer, of which `waitedMs` have passed. 0: no limit. */
  constructor(owner: InterimOwner, timeoutMs: number, waitedMs: number) {
    this.owner = owner
    this.timeoutMs = timeoutMs
    if (timeoutMs > 0) this.wait(Math.max(timeoutMs - waitedMs, 0))
  }

  /** Counts one, or throws where there are too many. */
  count(lines: readonly string[]): void {
    this.characters += EACH
    for (const part of lines) this.characters += part.length
    if (this.characters <= MOST_CHARACTERS) return
    throw sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
      message: 'the upstream sent too many interim responses',
    })
  }

  /** The final response is there, or none is awaited any more. */
  end(): void {
    clearTimeout(this.timer)
  }

  private wait(ms: number): void {
    this.timer = setTimeout(timeOut, ms, this)
  }

  timeOut(): void {
    // It is the client's turn.
    if (this.owner.isSending) this.wait(this.timeoutMs)
    else this.owner.breakOff(headersTimeout())
  }
}

function timeOut(interim: InterimResponses): void {
  interim.timeOut()
}
