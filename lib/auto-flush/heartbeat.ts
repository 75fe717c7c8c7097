import type { ServerResponse } from 'node:http'
import { contain } from '../node/contained.js'

/** The last bytes of an event stream between two events, or before the first one. */
const BETWEEN_EVENTS = /(?:^|\n\r?\n|\r\r)$/

/**
 * Writes a comment to an event stream after each silence of some milliseconds.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes
 */
export class Heartbeat {
  readonly res: ServerResponse
  private readonly timer: NodeJS.Timeout
  private tail = ''

  constructor(res: ServerResponse, silenceMs: number) {
    this.res = res
    this.timer = setTimeout(beat, silenceMs, this).unref()
  }

  /** Tells that a chunk was written, which ends the silence. */
  wrote(chunk: unknown, encoding: unknown): void {
    this.tail = (this.tail + endOf(chunk, encoding)).slice(-4)
    // `refresh` would bring a cleared timer back to life.
    if (!this.isOver) this.timer.refresh()
  }

  stop(): void {
    clearTimeout(this.timer)
  }

  /** A comment must not come in the middle of an event, nor pile up for a client that does not read. */
  beat(): void {
    if (this.isOver) return
    if (BETWEEN_EVENTS.test(this.tail) && !this.res.writableNeedDrain) this.res.write(':\n\n')
    this.timer.refresh()
  }

  /** True from `res.end()` on: the client may take long to read the rest, and Node throws at who writes then. */
  private get isOver(): boolean {
    return this.res.destroyed || this.res.writableEnded
  }
}

function beat(heartbeat: Heartbeat): void {
  contain(heartbeat.res, () => heartbeat.beat())
}

/** The last bytes of what was given to `res.write`; its second argument may be the callback. */
function endOf(chunk: unknown, encoding: unknown): string {
  return Buffer.from(chunk as string, encoding as BufferEncoding)
    .subarray(-4)
    .toString('latin1')
}
