import type { ChildProcess } from 'node:child_process'
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import { type ChildExit, type PipedChild, pipeChild, type PipeChildOptions } from 'sluiceway'
import { until } from '../support/time/until.js'
import { membersOf } from './piped.js'

/** What became of one `pipeChild`. */
export interface Outcome {
  readonly exit?: ChildExit
  readonly error?: NodeJS.ErrnoException
}

/** Counts the listeners of each event, so that a later count can be compared. */
class ListenerCounts {
  private readonly counted: readonly {
    readonly emitter: EventEmitter
    readonly counts: Map<string | symbol, number>
  }[]

  constructor(emitters: readonly unknown[]) {
    this.counted = emitters.filter(isEmitter).map((emitter) => ({ emitter, counts: countsOf(emitter) }))
  }

  /** The events that have more listeners by now. Streams that are destroyed tell nobody of anything. */
  more(): string[] {
    const living = this.counted.filter(({ emitter }) => !(emitter as Duplex).destroyed)
    return living.flatMap(({ emitter, counts }) =>
      [...countsOf(emitter)]
        .filter(([event, count]) => count > (counts.get(event) ?? 0))
        .map(([event]) => `${emitter.constructor.name} ${String(event)}`),
    )
  }
}

function countsOf(emitter: EventEmitter): Map<string | symbol, number> {
  return new Map(emitter.eventNames().map((event) => [event, emitter.listenerCount(event)]))
}

function isEmitter(given: unknown): given is EventEmitter {
  return typeof (given as EventEmitter | null | undefined)?.eventNames === 'function'
}

/** Calls `pipeChild`, waits until it has settled, and expects that nothing of it is left. */
export async function pipedCleanly(
  req: IncomingMessage,
  res: ServerResponse,
  child: PipedChild,
  options?: PipeChildOptions,
): Promise<Outcome> {
  const { stdin, stdout, stderr } = child as ChildProcess
  // Of a stream of HTTP/2, Node listens for its end itself once there is a response.
  const connection = req.httpVersionMajor === 2 ? [] : [req.socket]
  const counts = new ListenerCounts([res, stdin, stdout, stderr])
  const childCounts = new ListenerCounts([child])
  const connectionCounts = new ListenerCounts(connection)
  const outcome: Outcome = await pipeChild(res, child, options).then(
    (exit) => ({ exit }),
    (error: NodeJS.ErrnoException) => ({ error }),
  )
  await nothingLeft(child)
  const more = (): string[] => [
    ...counts.more(),
    ...(lingers(outcome) ? [] : connectionCounts.more()),
    // A refused child is watched until its group is gone, which takes its time where init does not wait for orphans.
    ...(outcome.error === undefined ? childCounts.more() : []),
  ]
  const patience = performance.now() + 2000
  await until(() => more().length === 0 || performance.now() > patience)
  expect(more().join(), 'listeners that stay').to.equal('')
  return outcome
}

/** The connection of a body that was refused is closed in stages. */
function lingers({ error }: Outcome): boolean {
  return error?.code === 'ERR_SLUICEWAY_BODY_TOO_LARGE'
}

/** Waits until no process of the child's group is alive. */
export async function nothingLeft(child: PipedChild): Promise<void> {
  const { pid } = child as ChildProcess
  if (pid !== undefined) await until(() => membersOf(pid).length === 0)
}
