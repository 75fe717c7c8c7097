import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:os'
import type { Readable } from 'node:stream'
import { types } from 'node:util'
import { hasClosedStream } from './node/request/facts.js'
import { headerOf } from './node/response/send-head.js'
import { hasEmittedEnd, takeBackEarlyEnd } from './node/streams/state.js'
import {
  claim,
  discardChildrenIn,
  discardGiven,
  type Child,
  type PipedChild,
  recognizeChild,
  unwrapChild,
  wrongArguments,
} from './pipe-child/arguments.js'
import { observed } from './pipe-child/observed.js'
import { PipedResponse } from './pipe-child/piped-response.js'
import type { ChildExit, RunningChild } from './pipe-child/running-child.js'
import { type PipeChildSettings, Transfer } from './pipe-child/transfer.js'
import { wrongOption } from './shared/error-page.js'
import { sluicewayError } from './shared/errors.js'
import { flag, milliseconds, oneOf } from './shared/option-checks.js'
import {
  type NamesElsewhere,
  type OptionCheck,
  type OptionChecks,
  type OptionName,
  readOptions,
  wrongKind,
} from './shared/options.js'
import { isEventStream } from './shared/response-facts.js'

export type { PipedChild } from './pipe-child/arguments.js'
export type { PseudoTerminal } from './pipe-child/children/terminal.js'
export type { ChildExit } from './pipe-child/running-child.js'

/*
 *     stdin (req) ─▶ child.stdin                                                 piped-input.ts
 *     child.stdout, child.stderr ─▶ bytes, or lines as events ─▶ res.write       transfer.ts, event-lines.ts
 *     child has exited and closed both ─▶ exit event or trailer ─▶ res.end       piped-response.ts
 *     res is over first ─▶ killSignal ─▶ SIGKILL ─▶ close our ends of the pipes  end-child.ts
 *     child and res are both over ─▶ the promise settles                         transfer.ts
 */

const signals = Object.keys(constants.signals) as NodeJS.Signals[]

/** The options of `pipeChild`, all of them optional. */
export interface PipeChildOptions {
  /**
   * Sets how stderr is sent: 'merge' mixes it into stdout as it arrives, 'drop' discards it, 'event' sends its
   * lines as `event: stderr` (only on `text/event-stream`). @default 'merge'
   */
  readonly stderr?: 'merge' | 'drop' | 'event' | undefined
  /**
   * The form in which the client gets the exit. 'event': a last event `exit` with `{"code":0,"signal":null}` (only on
   * `text/event-stream`). 'trailer': the HTTP trailers Exit-Code and Exit-Signal (not for HTTP/1.0 clients, nor beside
   * a Content-Length). 'none': the client is not told. @default 'event' on `text/event-stream`, else 'none'
   */
  readonly exit?: 'event' | 'trailer' | 'none' | undefined
  /** False keeps the response open after the child has ended, for another child or for the handler. @default true */
  readonly end?: boolean | undefined
  /**
   * A stream to pipe into the stdin of the child, such as `req`. A child may stop reading at any time: the rest of a
   * request is then discarded, and any other stream destroyed. An error of the stream ends the child. @default none
   */
  readonly stdin?: Readable | undefined
  /** The signal that ends the child if the response is over first. @default 'SIGTERM' */
  readonly killSignal?: NodeJS.Signals | undefined
  /** The time between `killSignal` and SIGKILL for a child that still runs, in milliseconds; 0: at once. @default 5000 */
  readonly forceKillAfterMs?: number | undefined
}

/**
 * Sends the stdout and stderr of a child process as the body of a response while the child writes them, and ends the
 * response when the child has exited and closed both. It resolves with the exit of the child. If the client leaves
 * early, or the handler ends the response, the child is ended together with its process group (which only
 * `spawn(…, { detached: true })` gives it). Call it in the same tick as `spawn`.
 *
 * It rejects with the error of `spawn`, such as ENOENT, before anything is sent, so that the caller can still answer.
 * Wrong arguments and options reject with a TypeError or RangeError. The child belongs to `pipeChild` from the call on,
 * and is ended on rejection too.
 *
 * On `text/event-stream` (set before the call) each line becomes one event. Otherwise the bytes pass unchanged, as
 * `text/plain; charset=utf-8` if no Content-Type is set. It works with and without `autoFlush`, which a compressed
 * response needs.
 *
 * @see docs/pipe-child.md
 */
export async function pipeChild(
  res: ServerResponse,
  child: PipedChild,
  options?: PipeChildOptions,
): Promise<ChildExit> {
  const given = unwrapChild(child) as Child
  const wrong = wrongArguments(res, given)
  if (wrong !== undefined) {
    for (const each of [res, given, options]) discardChildrenIn(each).catch(() => {})
    throw wrongOption(`pipeChild: ${wrong}`)
  }
  return observed(res, child, () => transferred(res, given, options))
}

/** Checks the options and claims the response. If either fails, the child is ended. */
async function transferred(
  res: ServerResponse,
  child: Child,
  options: PipeChildOptions | undefined,
): Promise<ChildExit> {
  try {
    const settings = readPipeOptions(res, options)
    const response = new PipedResponse(res, settings)
    claim(child)
    return new Transfer(response, recognizeChild(child) as RunningChild, res.req, settings).run()
  } catch (error) {
    void discardGiven(child)
    throw error
  }
}

function readPipeOptions(res: ServerResponse, options: PipeChildOptions | undefined): PipeChildSettings {
  const events = isEventStream(headerOf(res, 'content-type'))
  const checks: OptionChecks<Omit<PipeChildSettings, 'events'>> = {
    stderr: oneOf(['merge', 'drop', 'event'], 'merge'),
    exit: oneOf(['event', 'trailer', 'none'], events ? 'event' : 'none'),
    end: flag(true),
    stdin: unendedStream,
    killSignal: signalName,
    forceKillAfterMs: milliseconds(5000),
  }
  const settings = readOptions('pipeChild', options, checks, { elsewhere: namesElsewhere })
  for (const key of ['stderr', 'exit'] as const) {
    if (settings[key] === 'event' && !events) {
      throw wrongOption(`pipeChild: option "${key}" is "event", which needs Content-Type text/event-stream`)
    }
  }
  return { ...settings, events }
}

const SPAWNED = 'give it to spawn(command, arguments, options), which starts the child'

/** The time limits of spawn end only the child itself, and its group keeps the response open. */
const TIME_LIMIT =
  'to end the child with its group, end the response: setTimeout(() => res.end(), ms), or in a listener of the signal'

/** Options of spawn and of execa. */
const namesElsewhere: NamesElsewhere = {
  cwd: SPAWNED,
  env: SPAWNED,
  shell: SPAWNED,
  stdio: SPAWNED,
  detached: SPAWNED,
  signal: TIME_LIMIT,
  timeout: TIME_LIMIT,
  input: 'it is "stdin" here, a stream',
  cleanup: 'the child always ends with its response; "killSignal" says how',
}

const signalName: OptionCheck<NodeJS.Signals> = (given, option) => {
  if (given === undefined) return 'SIGTERM'
  const known = signals.find((name) => name === given)
  if (known === undefined) throw wrongKind(option, "the name of a signal such as 'SIGTERM'", given)
  return known
}

/** Accepts a stream that has not ended: otherwise the child would wait for an end that never comes. */
const unendedStream: OptionCheck<Readable | undefined> = (given, option) => {
  if (given === undefined) return undefined
  const stream = requireStream(given, option)
  if (stream.errored) throw stream.errored
  const request = stream as IncomingMessage
  // Node ends the request of a stream of HTTP/2 that is over. The child is ended then, with its response.
  const isOver = hasClosedStream(request)
  if (hasEmittedEnd(stream) && !isOver && !takeBackEarlyEnd(request))
    throw sluicewayError('ERR_SLUICEWAY_BODY_ALREADY_READ')
  return stream
}

function requireStream(given: unknown, option: OptionName): Readable {
  const stream = given as Partial<Readable> | null
  if (typeof stream?.pipe === 'function' && typeof stream.unpipe === 'function') return stream as Readable
  throw wrongKind(option, `a readable stream such as req${hintAt(given)}`, given)
}

function hintAt(given: unknown): string {
  if (typeof given === 'string' || types.isUint8Array(given)) return ' (Readable.from([…]) makes one)'
  return given instanceof ReadableStream ? ' (Readable.fromWeb(…) makes one)' : ''
}
