import type { ServerResponse } from 'node:http'

/** The last bytes of an event stream between two events, or before the first one. */
const BETWEEN_EVENTS = /(?:^|\n\r?\n|\r\r)$/

/**
 * Writes a comment to an event stream after each silence of some milliseconds.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes
 */
export class Heartbeat {
  private readonly res: ServerResponse
  private readonly timer: NodeJS.Timeout
  private tail = ''

  constructor(res: ServerResponse, silenceMs: number) {
    this.res = res
    this.timer = setTimeout(beat, silenceMs, this).unref()
  }

  /** Tells that a chunk was written, which ends the silence. */
  wrote(chunk: unknown, encoding: unknown): void {
    this.tail = (this.tail + endOf(chunk, encoding)).slice(-4)
    this.restart()
  }

  stop(): void {
    clearTimeout(this.timer)
  }

  /** A comment must not come in the middle of an event, nor pile up for a client that does not read. */
  beat(): void {
    if (BETWEEN_EVENTS.test(this.tail) && !this.res.writableNeedDrain) this.res.write(':\n\n')
    this.restart()
  }

  /** `refresh` would bring a cleared timer back to life. */
  private restart(): void {
    if (!this.res.destroyed && !this.res.writableEnded) this.timer.refresh()
  }
}

function beat(heartbeat: Heartbeat): void {
  heartbeat.beat()
}

function endOf(chunk: unknown, encoding: unknown): string {
  if (typeof chunk !== 'string') return Buffer.from((chunk as Uint8Array).subarray(-4)).toString('latin1')
  const isText = typeof encoding !== 'string' || /^(?:utf-?8|latin1|binary|ascii)$/i.test(encoding)
  return isText
    ? chunk.slice(-4)
    : Buffer.from(chunk, encoding as BufferEncoding)
        .toString('latin1')
        .slice(-4)
}
