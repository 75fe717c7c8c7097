/** One press of a button is a run: its requests carry `run=`, and afterwards the server tells what it noted. */
import { readJson } from './failures.js'

/** As in traces.ts of the server, but on this page's clock. */
export interface Moment {
  readonly lane: string
  readonly event: string
  readonly at: number
  readonly [detail: string]: unknown
}

/** How far the server's clock is ahead of this one, in ms, and when that was measured. */
let ahead = 0
let comparedAt = -Infinity
const comparedForMs = 60_000

export class Run {
  /** Ends when the person stops the run. */
  readonly signal: AbortSignal
  private readonly id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`

  constructor(signal: AbortSignal) {
    this.signal = signal
  }

  /** Compares the clocks, where that was not done lately. The quickest of five answers tells best. */
  async begin(): Promise<void> {
    if (now() - comparedAt < comparedForMs) return
    let quickest = Infinity
    for (let attempt = 0; attempt < 5; attempt++) {
      const askedAt = now()
      const response = await fetch('trace/clock', { signal: this.signal })
      const { now: theirs } = await readJson<{ now: number }>(response)
      const tookMs = now() - askedAt
      if (tookMs >= quickest) continue
      quickest = tookMs
      ahead = theirs - (askedAt + tookMs / 2)
    }
    comparedAt = now()
  }

  url(path: string): string {
    return `${path}${path.includes('?') ? '&' : '?'}run=${this.id}`
  }

  /** The server's time on this page's clock. */
  toHere(serverTime: number): number {
    return serverTime - ahead
  }

  /** What the server noted of this run, in the order of time. Also of a run that was stopped. */
  async moments(): Promise<readonly Moment[]> {
    const { moments } = await readJson<{ moments: readonly Moment[] }>(await fetch(`trace/${this.id}`))
    return moments.map((moment) => ({ ...moment, at: this.toHere(moment.at) }))
  }
}

/** This page's clock: milliseconds since 1970, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}

/** The first moment of that event in that lane. A run without it is told in no picture. */
export function momentOf(moments: readonly Moment[], lane: string, event: string): Moment | undefined {
  return moments.find((moment) => moment.lane === lane && moment.event === event)
}
