import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AutoFlushSettings, Coalesce } from './auto-flush/mount-settings.js'
import { noteMount } from './auto-flush/mount-settings.js'
import { watchHead } from './auto-flush/watch-head.js'
import { provideFlush, watchWrites } from './auto-flush/streaming.js'
import type { Middleware } from './shared/middleware.js'
import {
  callback,
  flag,
  milliseconds,
  type OptionCheck,
  outOfRange,
  readOptions,
  wrongKind,
} from './shared/options.js'

export { pipeChild, type ChildExit, type PipeChildOptions } from './pipe-child.js'

declare module 'node:http' {
  interface ServerResponse<Request extends IncomingMessage = IncomingMessage> {
    /** Sends now what has been written so far, but nothing before the head is written. Provided by `autoFlush()`. */
    flush(): void
  }
}

/** What `autoFlush` takes. Every field may be left out. */
export interface AutoFlushOptions {
  /**
   * When a compressor is flushed after a write: 'immediate' once per turn of the event loop, 'tick' once per
   * `process.nextTick`, or a number of milliseconds (1 and up, 0 is refused) after the first write not yet flushed.
   * More writes per flush compress better and cost less. @default 'immediate'
   */
  readonly coalesce?: Coalesce | undefined
  /**
   * Tells whether a response is streamed, and so is to be flushed. Called at most once a response, before its head
   * is sent and only where a body follows; must not write. What it throws reaches whoever wrote.
   * @default every response without Content-Length
   */
  readonly filter?: ((req: IncomingMessage, res: ServerResponse) => boolean) | undefined
  /**
   * False asks nginx and its like not to buffer streamed responses, with `X-Accel-Buffering: no`, unless the
   * response already has that header. True leaves the header alone. @default false
   */
  readonly proxyBuffering?: boolean | undefined
  /**
   * True also hands each write to the socket before `res.write` returns, for handlers that then block the event loop.
   * Twice the CPU for bursts of writes. Cannot help a compressed response: zlib works in other threads.
   * @default false
   */
  readonly sync?: boolean | undefined
  /**
   * On `text/event-stream`, writes a comment after this many milliseconds without a write, which keeps idle
   * connections open. Never inside an event. 0 is off. @default 0
   */
  readonly heartbeatMs?: number | undefined
}

/**
 * Lets whatever is written to a response reach the client now: through `compression` (mounted before or after),
 * through a buffering nginx, in a browser that would guess the type of plain text first, and with the head as soon as it
 * is written. Whole answers (`json`, `send`, HEAD, 204, 304, …) are left as they are. Where it is mounted twice, the
 * later mount decides.
 *
 * NOTE: it cannot reach what has not been written yet, such as output that a child process holds in its own buffer.
 *
 * Throws TypeError or RangeError for wrong options.
 *
 * @see docs/auto-flush.md
 */
export function autoFlush(options?: AutoFlushOptions): Middleware {
  const settings = readOptions<AutoFlushSettings>('autoFlush', options, {
    coalesce,
    filter: callback(),
    proxyBuffering: flag(false),
    sync: flag(false),
    heartbeatMs: milliseconds(0),
  })
  const needsEachWrite = settings.sync || settings.heartbeatMs > 0

  // From here a response goes by itself: its head (watch-head.ts) tells whether it is a stream, which then starts
  // streaming (streaming.ts): every write to its compressor (compressor.ts) makes a flush due (flush-schedule.ts).
  return function autoFlushMiddleware(req, res, next) {
    noteMount(req, settings)
    watchHead(res)
    provideFlush(res)
    if (needsEachWrite) watchWrites(res)
    next()
  }
}

const coalesce: OptionCheck<Coalesce> = (given, option) => {
  const expected = `'immediate', 'tick' or a whole number of milliseconds from 1 up`
  if (given === undefined || given === 'immediate' || given === 'tick') return given ?? 'immediate'
  if (typeof given !== 'number') throw wrongKind(option, expected, given)
  if (given < 1) throw outOfRange(option, expected, given)
  return milliseconds(1)(given, option)
}
