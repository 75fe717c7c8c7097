import type { ServerResponse } from 'node:http'
import { types } from 'node:util'
import { contain } from '../node/contained.js'
import { isAnswered, onResponseClose } from '../node/response/close.js'
import { wrapMethod } from '../node/response/methods.js'
import { needsDrain } from '../node/response/state.js'
import { timers } from '../node/timers.js'

/** Matches the end of an event stream if it is between two events, or before the first one. */
const BETWEEN_EVENTS = /(?:^|\n\r?\n|\r\r)$/

/**
 * Writes a comment to an event stream after each silence of `heartbeatMs`.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes
 */
export class Heartbeat {
  readonly res: ServerResponse
  private readonly timer: NodeJS.Timeout
  private tail = ''
  private isEnding = false

  constructor(res: ServerResponse, silenceMs: number) {
    this.res = res
    this.timer = timers.setTimeout(beat, silenceMs, this).unref()
    // The timer would keep the response in memory.
    onResponseClose(res, () => timers.clearTimeout(this.timer))
    // express-session writes what `end` was given past our layer of `write`, and ends the response much later.
    wrapMethod(res, 'end', (_, end, args) => {
      this.isEnding = true
      return end.apply(res, args)
    })
  }

  /** Notes that a chunk was written, which ends the silence. */
  wrote(chunk: unknown, encoding: unknown): void {
    this.tail = (this.tail + endOf(chunk, encoding)).slice(-4)
    this.timer.refresh()
  }

  /**
   * Writes the comment, but not within an event, and not while earlier bytes wait for a client that does not read.
   */
  beat(): void {
    if (this.isOver) return
    if (BETWEEN_EVENTS.test(this.tail) && !needsDrain(this.res)) this.res.write(':\n\n')
    this.timer.refresh()
  }

  /** True from `res.end()` on: the client may take long to read the rest, and a write would fail. */
  private get isOver(): boolean {
    return this.isEnding || this.res.destroyed || isAnswered(this.res)
  }
}

function beat(heartbeat: Heartbeat): void {
  contain(heartbeat.res, () => heartbeat.beat())
}

/** Stands for a value that Node's `write` does not take, but a layer around it does. It ends no event. */
const UNKNOWN = '?'

/** Returns the last bytes of a call of `res.write`, whose second argument may be the callback, or anything for a layer. */
function endOf(chunk: unknown, encoding: unknown): string {
  if (types.isUint8Array(chunk)) return latin1(chunk)
  if (typeof chunk !== 'string') return UNKNOWN
  return latin1(
    Buffer.from(chunk, Buffer.isEncoding(encoding as string) ? (encoding as BufferEncoding) : 'utf8'),
  )
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(-4)).toString('latin1')
}
