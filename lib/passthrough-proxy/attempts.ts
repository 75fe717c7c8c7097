import type { IncomingMessage } from 'node:http'
import { timers } from '../node/timers.js'
import { sluicewayError, type SluicewayError } from '../shared/errors.js'
import { isPromise } from '../shared/promises.js'
import { hookError } from './hooks.js'
import type { ProxySettings } from './settings.js'
import type { ChosenTarget, FailedTarget, GivenTarget, Target, TargetChooser } from './target.js'
import type { Failure, FailureKind } from './upstream/upstream.js'

/** The most targets that are tried for one request. */
const MAX_ATTEMPTS = 16

/** The failures after which another target may succeed. */
const elsewhere: ReadonlySet<FailureKind> = new Set(['unreachable', 'untrusted', 'timeout', 'queue-full'])

/** Tells whether a request that has failed may be sent to another target: no server has received any part of it. */
export function mayGoElsewhere({ kind, maybeHeard }: Failure): boolean {
  return !maybeHeard && elsewhere.has(kind)
}

/** The exchange as the choice of its target sees it. */
interface Asking {
  readonly req: IncomingMessage
  readonly settings: ProxySettings
  /** Called once when the exchange is over. */
  whenOver: (() => void) | undefined
}

/**
 * The targets of one request, which the caller's function chooses one after the other:
 *
 *     next ─▶ the whole preparation ─▶ Upstream.send
 *       ▲                                   │
 *       └── noteFailure ◀── Exchange ◀──────┘ no server has received any of it
 */
export class Attempts {
  private readonly chooser: TargetChooser
  private readonly asking: Asking
  /** The origins that were tried: if one cannot be reached, none of its paths can. */
  private readonly tried: string[] = []
  private given: GivenTarget = ''
  /** The last failure; undefined before the first one. */
  failed: FailedTarget | undefined

  constructor(chooser: TargetChooser, asking: Asking) {
    this.chooser = chooser
    this.asking = asking
  }

  noteFailure(error: SluicewayError): void {
    this.failed = { target: this.given, error, attempt: this.tried.length }
  }

  /** Returns the next target. Throws the last failure if there is no target that was not tried yet. */
  async next(): Promise<Target> {
    const { failed, tried } = this
    if (tried.length >= MAX_ATTEMPTS && failed !== undefined) throw failed.error
    const given = await this.ask()
    if (failed !== undefined && (given === undefined || given === null)) throw failed.error
    const target = this.chooser.parse(given)
    if (failed !== undefined && tried.includes(target.origin)) throw failed.error
    this.given = given as GivenTarget
    tried.push(target.origin)
    return target
  }

  private async ask(): Promise<ChosenTarget> {
    const { asking, failed } = this
    try {
      const answer = this.chooser.choose(asking.req, failed)
      return await (isPromise(answer) ? inTime(answer, asking) : answer)
    } catch (thrown) {
      throw hookError('the target function failed', thrown)
    }
  }
}

/** Waits as long as an upstream may take, and while the client is there. */
function inTime(answer: PromiseLike<ChosenTarget>, asking: Asking): Promise<ChosenTarget> {
  const { headersTimeoutMs } = asking.settings
  return new Promise((resolve, reject) => {
    const timer = headersTimeoutMs > 0 ? timers.setTimeout(giveUp, headersTimeoutMs, reject) : undefined
    asking.whenOver = () => {
      timers.clearTimeout(timer)
      resolve(undefined)
    }
    const settle = (settled: () => void): void => {
      timers.clearTimeout(timer)
      asking.whenOver = undefined
      settled()
    }
    answer.then(
      (target) => settle(() => resolve(target)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}

function giveUp(reject: (error: Error) => void): void {
  reject(
    sluicewayError('ERR_SLUICEWAY_UPSTREAM_TIMEOUT', {
      message: 'passthroughProxy: the target function took too long (headersTimeoutMs)',
    }),
  )
}
