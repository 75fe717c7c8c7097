import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AutoFlushSettings, type Coalesce, noteMount } from './auto-flush/mount-settings.js'
import { provideFlush, watchWrites } from './auto-flush/streaming.js'
import { watchHead } from './auto-flush/watch-head.js'
import { shareHiddenClass } from './node/hidden-class.js'
import type { Middleware } from './shared/middleware.js'
import { requireNext } from './shared/next.js'
import { callback, flag, milliseconds } from './shared/option-checks.js'
import {
  type NamesElsewhere,
  type OptionCheck,
  type OptionChecks,
  outOfRange,
  readOptions,
  rejectFurther,
  wrongKind,
} from './shared/options.js'

export {
  pipeChild,
  type ChildExit,
  type PipeChildOptions,
  type PipedChild,
  type PseudoTerminal,
} from './pipe-child.js'

declare module 'node:http' {
  interface ServerResponse<Request extends IncomingMessage = IncomingMessage> {
    /**
     * Sends everything written so far, including the head; sends nothing before the head is written. Added by
     * `autoFlush()`.
     */
    flush(): void
  }
}

/** The options of `autoFlush`, all of them optional. */
export interface AutoFlushOptions {
  /**
   * Sets when a compressor is flushed after a write: 'immediate' once per turn of the event loop, 'tick' once per
   * `process.nextTick`, or a number of milliseconds (1 and up; 0 is refused) after the first write that is not
   * flushed yet. Fewer flushes compress better and cost less. @default 'immediate'
   */
  readonly coalesce?: Coalesce | undefined
  /**
   * Decides whether a response is streamed, and therefore flushed. It is called at most once per response, before its
   * head is sent, and only if a body follows; it must not write. If it throws, or returns a promise, the code that
   * wrote to the response gets an exception.
   * @default every response without Content-Length
   */
  readonly filter?: { filter(req: IncomingMessage, res: ServerResponse): boolean }['filter'] | undefined
  /**
   * False asks nginx and similar proxies not to buffer streamed responses (`X-Accel-Buffering: no`), unless the
   * response already has that header. True leaves the header alone. @default false
   */
  readonly proxyBuffering?: boolean | undefined
  /**
   * True also hands each write to the socket before `res.write` returns, for handlers that then block the event loop.
   * Each write is then a system call of its own. It has no effect on compressed responses: zlib works in other threads.
   * @default false
   */
  readonly sync?: boolean | undefined
  /**
   * Writes a comment to a `text/event-stream` after this many milliseconds without a write, to keep an idle
   * connection open, and never within an event, nor in a stream with a Content-Encoding or Content-Length of its own. 0
   * turns it off.
   * @default 0
   */
  readonly heartbeatMs?: number | undefined
}

/**
 * Sends everything written to a response to the client at once: through `compression` (mounted before or after),
 * through a buffering nginx, into a browser that would guess the type of plain text first, and with the head as soon as
 * it is written. Complete answers (`json`, `send`, HEAD, 204, 304, …) are left as they are. If it is mounted twice, the
 * later mount decides.
 *
 * NOTE: it cannot send bytes that have not been written yet, such as output that a child process still buffers.
 *
 * @throws TypeError or RangeError for a wrong option.
 * @see docs/auto-flush.md, RFC 9112 §7.1 for the chunks that carry a streamed body
 */
export function autoFlush(options?: AutoFlushOptions, ...further: undefined[]): Middleware {
  const settings = readOptions<AutoFlushSettings>('autoFlush', options, checks, { elsewhere: namesElsewhere })
  rejectFurther('autoFlush', further, 'autoFlush(options)')
  const needsEachWrite = settings.sync || settings.heartbeatMs > 0

  // From the head of a response to its flushes:
  //
  //     writeHead ─▶ is it a stream? ── no ──▶ left alone                              auto-flush/watch-head.ts
  //                      └─ yes ─▶ its head is sent, its compressor is watched         auto-flush/streaming.ts
  //     write ─▶ compressor ─▶ a flush is due, once per burst ─▶ flush ─▶ client       auto-flush/flush-schedule.ts
  //     write without a compressor ─▶ Node sends it by itself
  return function autoFlushMiddleware(req, res, next) {
    requireNext('autoFlush', next)
    shareHiddenClass(req, res)
    noteMount(req, settings)
    watchHead(res)
    provideFlush(res)
    if (needsEachWrite) watchWrites(res)
    next()
  }
}

const COMPRESSOR = 'give it to compression(), which is mounted beside autoFlush()'

/** Options of compression and of libraries for server-sent events. */
const namesElsewhere: NamesElsewhere = {
  level: COMPRESSOR,
  threshold: COMPRESSOR,
  brotli: COMPRESSOR,
  chunkSize: COMPRESSOR,
  memLevel: COMPRESSOR,
  strategy: COMPRESSOR,
  windowBits: COMPRESSOR,
  enforceEncoding: COMPRESSOR,
  keepAlive: 'it is "heartbeatMs" here',
  keepAliveInterval: 'it is "heartbeatMs" here',
  pingInterval: 'it is "heartbeatMs" here',
}

const coalesce: OptionCheck<Coalesce> = (given, option) => {
  const expected = `'immediate', 'tick' or a whole number of milliseconds from 1 up`
  if (given === undefined || given === 'immediate' || given === 'tick') return given ?? 'immediate'
  if (typeof given !== 'number') throw wrongKind(option, expected, given)
  if (given < 1) throw outOfRange(option, expected, given)
  return milliseconds(1)(given, option)
}

const checks: OptionChecks<AutoFlushSettings> = {
  coalesce,
  filter: callback(),
  proxyBuffering: flag(false),
  sync: flag(false),
  heartbeatMs: milliseconds(0),
}
