import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'

/** What happened on the server's side, and when. The page draws it. */
export interface Moment {
  /** Who did it: 'gateway', 'handler', 'command', 'upstream', 'client'. */
  readonly lane: string
  readonly event: string
  /** In milliseconds, with fractions, by the clock of `now`. */
  readonly at: number
  readonly [detail: string]: unknown
}

/** The moments of one run: of all requests whose URL has the same `run=`. */
export interface Trace {
  note(lane: string, event: string, details?: Readonly<Record<string, unknown>>): void
  /** Keeps `settled` waiting until `emitter` has emitted `event`. */
  holdUntil(emitter: EventEmitter, event: string): void
}

const mostRuns = 50
const mostMoments = 600
const runPattern = /[?&]run=([\w-]{8,40})(?:&|$)/

/** Milliseconds of a clock that all processes of this machine share, and that nobody sets: from an unknown zero. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Remembers the last runs. Requests without `run=`, such as those of curl, leave nothing behind. */
export class Traces {
  private readonly runs = new Map<string, RunTrace>()

  /** The trace that a request belongs to. */
  of(req: IncomingMessage & { readonly originalUrl?: string }): Trace {
    const [, run] = runPattern.exec(req.originalUrl ?? req.url ?? '') ?? []
    return run === undefined ? untraced : this.open(run)
  }

  /** What is known of a run once nothing of it goes on any more, or after `patienceMs`. */
  async settled(run: string, patienceMs: number): Promise<readonly Moment[] | undefined> {
    const trace = this.runs.get(run)
    await trace?.idle(patienceMs)
    return trace?.moments.toSorted((a, b) => a.at - b.at)
  }

  private open(run: string): RunTrace {
    const known = this.runs.get(run)
    if (known !== undefined) return known
    const [oldest] = this.runs.keys()
    if (oldest !== undefined && this.runs.size >= mostRuns) this.runs.delete(oldest)
    const trace = new RunTrace()
    this.runs.set(run, trace)
    return trace
  }
}

const untraced: Trace = { note() {}, holdUntil() {} }

class RunTrace implements Trace {
  readonly moments: Moment[] = []
  private held = 0
  private readonly waiting = new Set<() => void>()

  note(lane: string, event: string, details: Readonly<Record<string, unknown>> = {}): void {
    if (this.moments.length < mostMoments) this.moments.push({ ...details, lane, event, at: now() })
  }

  holdUntil(emitter: EventEmitter, event: string): void {
    this.held += 1
    emitter.once(event, () => {
      this.held -= 1
      if (this.held > 0) return
      for (const wake of this.waiting) wake()
    })
  }

  async idle(patienceMs: number): Promise<void> {
    if (this.held === 0) return
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, patienceMs)
      this.waiting.add(wake)
    })
  }
}
