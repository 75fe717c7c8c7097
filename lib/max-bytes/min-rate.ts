import type { BodySource } from '../body/source.js'
import type { BodyWatcher } from '../body/views.js'
import { watchBody } from '../body/waiting.js'
import { timers } from '../node/timers.js'
import { sluicewayError } from '../shared/errors.js'

/** The checked option `minRate`. */
export interface MinRateSettings {
  readonly bytesPerSecond: number
  readonly graceMs: number
}

/** Refuses a body if its client sends it more slowly than `rate` while a reader waits for it. */
export function requireRate(rate: MinRateSettings, body: BodySource): void {
  watchBody(body, new RateWatcher(rate, body))
}

/**
 * Counts how long readers may still wait for the client: `graceMs` at first, and never more. Waiting reduces that
 * time, and each byte adds the time that it may take.
 */
class RateWatcher implements BodyWatcher {
  private readonly rate: MinRateSettings
  private readonly body: BodySource
  /** The time, in milliseconds, for which readers may still wait. */
  private left: number
  /** The start of the present wait; undefined while no reader waits. */
  private since: number | undefined
  private timer: NodeJS.Timeout | undefined
  private immediate: NodeJS.Immediate | undefined

  constructor(rate: MinRateSettings, body: BodySource) {
    this.rate = rate
    this.body = body
    this.left = rate.graceMs
  }

  bytesReceived(count: number): void {
    const { bytesPerSecond, graceMs } = this.rate
    this.left = Math.min(graceMs, this.left + (count * 1000) / bytesPerSecond)
  }

  readersWait(areWaiting: boolean): void {
    const now = timers.now()
    if (this.since !== undefined) this.left = Math.max(0, this.left - (now - this.since))
    this.since = areWaiting ? now : undefined
    timers.clearTimeout(this.timer)
    timers.clearImmediate(this.immediate)
    if (areWaiting) this.timer = timers.setTimeout(timeIsUp, Math.ceil(this.left), this).unref()
  }

  /** Waits for an immediate: a process that was busy first reads the bytes that have arrived in the meantime. */
  timeIsUp(): void {
    this.immediate = timers.setImmediate(refuse, this)
  }

  refuse(): void {
    const { body } = this
    // `removeAllListeners` on the request removes ours, too.
    body.waiting!.note()
    if (this.since === undefined) return
    body.refuse(sluicewayError('ERR_SLUICEWAY_BODY_TOO_SLOW', { received: body.received }))
  }
}

function timeIsUp(watcher: RateWatcher): void {
  watcher.timeIsUp()
}

function refuse(watcher: RateWatcher): void {
  watcher.refuse()
}
