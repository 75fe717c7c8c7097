import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { constants } from 'node:os'
import { milliseconds, oneOf, readOptions } from './shared/options.js'
import { type ChildExit, ChildOutput, type PipeChildSettings } from './pipe-child/child-output.js'
import { observed } from './pipe-child/observed.js'
import { endProcessGroup } from './pipe-child/process-group.js'

export type { ChildExit } from './pipe-child/child-output.js'

const signals = Object.keys(constants.signals) as NodeJS.Signals[]

/** What `pipeChild` takes. Every field may be left out. */
export interface PipeChildOptions {
  /**
   * What becomes of stderr: 'merge' mixes it into stdout as it arrives, 'drop' throws it away, 'event' names its lines
   * `event: stderr` (only on `text/event-stream`). @default 'merge'
   */
  readonly stderr?: 'merge' | 'drop' | 'event' | undefined
  /**
   * How the client learns of the exit: 'event' as a last event `exit` with `{"code":0,"signal":null}`
   * (only on `text/event-stream`), 'trailer' as the HTTP trailers Exit-Code and Exit-Signal (HTTP/1.0 clients get none),
   * 'none' not at all. @default 'event' on `text/event-stream`, else 'none'
   */
  readonly exit?: 'event' | 'trailer' | 'none' | undefined
  /** The signal sent to the child when the client leaves. @default 'SIGTERM' */
  readonly killSignal?: NodeJS.Signals | undefined
  /** How long after `killSignal` whatever still runs gets SIGKILL, in milliseconds; 0: at once. @default 5000 */
  readonly forceKillAfterMs?: number | undefined
}

/**
 * Sends what a child process writes to stdout and stderr as the body of a response, as it comes, and ends the response
 * when the child has closed both. Resolves with the child's exit, also when the client has left early: the child is
 * then ended with its process group, which takes `spawn(…, { detached: true })`.
 *
 * Rejects with the error of `spawn`, such as ENOENT, before anything is sent: the caller can still answer. Wrong options
 * reject with TypeError or RangeError. The child belongs to `pipeChild` from the call on, and is ended on rejection too.
 *
 * On `text/event-stream` (set before the call) each line becomes one event; otherwise the bytes pass unchanged, as
 * `text/plain; charset=utf-8` where no Content-Type is set. Works with and without `autoFlush`, which a compressed
 * response needs.
 *
 * @see docs/pipe-child.md
 */
export async function pipeChild(
  res: ServerResponse,
  child: ChildProcess,
  options?: PipeChildOptions,
): Promise<ChildExit> {
  child.on('error', ignore)
  try {
    const settings = readPipeOptions(res, options)
    return await observed(res, child, async () => {
      await started(child)
      return new ChildOutput(res, child, settings).run()
    })
  } catch (error) {
    endProcessGroup(child, { killSignal: 'SIGTERM', forceKillAfterMs: 5000 })
    throw error
  }
}

function readPipeOptions(res: ServerResponse, options: PipeChildOptions | undefined): PipeChildSettings {
  const events = isEventStream(res)
  const settings = readOptions<Omit<PipeChildSettings, 'events'>>('pipeChild', options, {
    stderr: oneOf(['merge', 'drop', 'event'], 'merge'),
    exit: oneOf(['event', 'trailer', 'none'], events ? 'event' : 'none'),
    killSignal: oneOf(signals, 'SIGTERM'),
    forceKillAfterMs: milliseconds(5000),
  })
  for (const key of ['stderr', 'exit'] as const) {
    if (settings[key] === 'event' && !events) {
      throw new TypeError(`pipeChild: option "${key}" is "event", which needs Content-Type text/event-stream`)
    }
  }
  return { ...settings, events }
}

function isEventStream(res: ServerResponse): boolean {
  return /^text\/event-stream *(?:;|$)/i.test(String(res.getHeader('content-type') ?? ''))
}

/** Waits for the error of a child that could not be started: it has no pid, and the error comes in the next tick. */
async function started(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined) return
  const [error] = (await once(child, 'error')) as [Error]
  throw error
}

function ignore(): void {}
