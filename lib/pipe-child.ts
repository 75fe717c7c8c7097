import type { ServerResponse } from 'node:http'
import { constants } from 'node:os'
import type { Readable } from 'node:stream'
import { wrongOption } from './shared/error-page.js'
import { sluicewayError } from './shared/errors.js'
import {
  flag,
  milliseconds,
  oneOf,
  type OptionCheck,
  type OptionName,
  readOptions,
  wrongKind,
} from './shared/options.js'
import { discardChildrenIn, type PipedChild, recognizeChild, wrongArguments } from './pipe-child/arguments.js'
import { discardChild } from './pipe-child/end-child.js'
import { observed } from './pipe-child/observed.js'
import { PipedResponse } from './pipe-child/piped-response.js'
import type { ChildExit, RunningChild } from './pipe-child/running-child.js'
import { type PipeChildSettings, Transfer } from './pipe-child/transfer.js'

export type { PipedChild } from './pipe-child/arguments.js'
export type { PseudoTerminal } from './pipe-child/children/terminal.js'
export type { ChildExit } from './pipe-child/running-child.js'

/*
 *     stdin (req) ─▶ child.stdin                                                 piped-input.ts
 *     child.stdout, child.stderr ─▶ bytes, or lines as events ─▶ res.write       transfer.ts, event-lines.ts
 *     child has exited and closed both ─▶ exit event or trailer ─▶ res.end       piped-response.ts
 *     res is over before that ─▶ killSignal ─▶ SIGKILL ─▶ our ends of the pipes  end-child.ts
 *     the later of child and res settles the promise                             transfer.ts
 */

const signals = Object.keys(constants.signals) as NodeJS.Signals[]

/** What `pipeChild` takes. Every field may be left out. */
export interface PipeChildOptions {
  /**
   * What becomes of stderr: 'merge' mixes it into stdout as it arrives, 'drop' discards it, 'event' names its lines
   * `event: stderr` (only on `text/event-stream`). @default 'merge'
   */
  readonly stderr?: 'merge' | 'drop' | 'event' | undefined
  /**
   * How the client learns of the exit: 'event' as a last event `exit` with `{"code":0,"signal":null}`
   * (only on `text/event-stream`), 'trailer' as the HTTP trailers Exit-Code and Exit-Signal (not for HTTP/1.0 clients,
   * nor beside a Content-Length), 'none' not at all. @default 'event' on `text/event-stream`, else 'none'
   */
  readonly exit?: 'event' | 'trailer' | 'none' | undefined
  /** False leaves the response open behind the child, for the next one or for the handler. @default true */
  readonly end?: boolean | undefined
  /**
   * A stream to pipe into the stdin of the child, such as `req`. A child may stop reading it at any time; the rest of a
   * request is discarded then, and another stream destroyed. Its failure ends the child. @default none
   */
  readonly stdin?: Readable | undefined
  /** The signal sent to the child when the response is over before it. @default 'SIGTERM' */
  readonly killSignal?: NodeJS.Signals | undefined
  /** How long after `killSignal` whatever still runs gets SIGKILL, in milliseconds; 0: at once. @default 5000 */
  readonly forceKillAfterMs?: number | undefined
}

/**
 * Sends what a child process writes to stdout and stderr as the body of a response, as it comes, and ends the response
 * when the child has exited and closed both. Resolves with the child's exit, also when the client has left early, or
 * the handler has ended the response: the child is then ended with its process group, which takes
 * `spawn(…, { detached: true })`. Call it in the same tick as `spawn`.
 *
 * Rejects with the error of `spawn`, such as ENOENT, before anything is sent: the caller can still answer. Wrong
 * arguments and options reject with TypeError or RangeError. The child belongs to `pipeChild` from the call on, and is
 * ended on rejection too.
 *
 * On `text/event-stream` (set before the call) each line becomes one event; otherwise the bytes pass unchanged, as
 * `text/plain; charset=utf-8` where no Content-Type is set. Works with and without `autoFlush`, which a compressed
 * response needs.
 *
 * @see docs/pipe-child.md
 */
export async function pipeChild(
  res: ServerResponse,
  child: PipedChild,
  options?: PipeChildOptions,
): Promise<ChildExit> {
  const running = recognizeChild(child)
  const wrong = wrongArguments(res, child, running)
  if (running === undefined || wrong !== undefined) {
    if (running !== undefined) void discardChild(running)
    for (const given of running === undefined ? [res, child] : [res]) void discardChildrenIn(given)
    throw wrongOption(`pipeChild: ${wrong}`)
  }
  return observed(res, child, () => new Transfer(...prepared(res, running, options)).run())
}

/** Checks the options and takes hold of the response; a child that is refused is ended. */
function prepared(
  res: ServerResponse,
  child: RunningChild,
  options: PipeChildOptions | undefined,
): ConstructorParameters<typeof Transfer> {
  try {
    const settings = readPipeOptions(res, options)
    return [new PipedResponse(res, settings), child, res.req, settings]
  } catch (error) {
    void discardChild(child)
    throw error
  }
}

function readPipeOptions(res: ServerResponse, options: PipeChildOptions | undefined): PipeChildSettings {
  const events = isEventStream(res)
  const settings = readOptions<Omit<PipeChildSettings, 'events'>>('pipeChild', options, {
    stderr: oneOf(['merge', 'drop', 'event'], 'merge'),
    exit: oneOf(['event', 'trailer', 'none'], events ? 'event' : 'none'),
    end: flag(true),
    stdin: unreadStream,
    killSignal: oneOf(signals, 'SIGTERM'),
    forceKillAfterMs: milliseconds(5000),
  })
  for (const key of ['stderr', 'exit'] as const) {
    if (settings[key] === 'event' && !events) {
      throw wrongOption(`pipeChild: option "${key}" is "event", which needs Content-Type text/event-stream`)
    }
  }
  return { ...settings, events }
}

function isEventStream(res: ServerResponse): boolean {
  return /^text\/event-stream *(?:;|$)/i.test(String(res.getHeader('content-type') ?? ''))
}

/** Accepts a stream that nobody has read or destroyed: its child would wait for an end that has been. */
const unreadStream: OptionCheck<Readable | undefined> = (given, option) => {
  if (given === undefined) return undefined
  const stream = requireStream(given, option)
  if (stream.errored) throw stream.errored
  if (stream.readableEnded) throw sluicewayError('ERR_SLUICEWAY_BODY_ALREADY_READ')
  return stream
}

function requireStream(given: unknown, option: OptionName): Readable {
  const stream = given as Partial<Readable> | null
  if (typeof stream?.pipe === 'function' && typeof stream.unpipe === 'function') return stream as Readable
  const shown = typeof given === 'object' && given !== null ? given.constructor.name : given
  throw wrongKind(option, `a readable stream such as req${hintAt(given)}`, shown)
}

function hintAt(given: unknown): string {
  if (typeof given === 'string' || given instanceof Uint8Array) return ' (Readable.from([…]) makes one)'
  return given instanceof ReadableStream ? ' (Readable.fromWeb(…) makes one)' : ''
}
