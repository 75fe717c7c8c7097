import type { ChildProcess } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PipedChild, PipeChildOptions } from 'sluiceway'
import { deferred } from '../support/time/deferred.js'
import type { Asked, Front, Reply, Served } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { sh } from './piped.js'

export type Step<Child = ChildProcess> = (child: Child, res: ServerResponse, req: IncomingMessage) => unknown

/** One call of `pipeChild`, and what happens around it on the server. */
export interface Situation<Child extends PipedChild = ChildProcess> {
  /** Starts the child; the default is one that sleeps. */
  readonly start?: () => Child | Promise<Child>
  /** Runs before the call; a promise is awaited. */
  readonly before?: Step<Child>
  /** Begins at the same time as the call, or with the first byte of output. */
  readonly during?: Step<Child>
  readonly options?: PipeChildOptions
  readonly type?: string
  readonly asked?: Asked
}

/** A child that lives on after its first line. */
export const SLEEP = 'echo ready; sleep 60 & wait'
/** A child that writes without end. */
export const CHATTY = 'cat /dev/zero'
/** The outcome of a child that was ended. */
export const ended = { exit: { code: null, signal: 'SIGTERM' } }

export interface Arranged extends Served {
  readonly outcome: Promise<Outcome>
}

/** Serves one situation; an error is answered with its code or message where nothing was sent. */
export async function arrange<Child extends PipedChild>(
  front: Front,
  situation: Situation<Child>,
): Promise<Arranged> {
  const { start = () => sh(SLEEP) as PipedChild as Child, before, during, options, type } = situation
  const outcome = deferred<Outcome>()
  const served = await front.serve(async (req, res) => {
    // Some children are thenables, and must not be awaited.
    const started = start()
    const child = started instanceof Promise ? await started : started
    if (type !== undefined) res.setHeader('Content-Type', type)
    const waiting = before?.(child, res, req)
    if (waiting instanceof Promise) await waiting
    const piped = pipedCleanly(req, res, child, options)
    void during?.(child, res, req)
    const { error, ...rest } = await piped.catch((failure: Error) => ({ error: failure, exit: undefined }))
    if (error !== undefined && !res.headersSent)
      res.end(`refused: ${(error as NodeJS.ErrnoException).code ?? error.message}`)
    outcome.resolve({ ...rest, ...(error && { error }) } as Outcome)
  })
  return { ...served, outcome: outcome.promise }
}

/** Serves and asks one situation. */
export async function asked<Child extends PipedChild>(
  front: Front,
  situation: Situation<Child>,
): Promise<[Reply, Promise<Outcome>]> {
  const { ask, outcome } = await arrange(front, situation)
  return [await ask(situation.asked), outcome]
}

/** Serves and asks one situation, and waits until the call has settled. */
export async function settled(front: Front, situation: Situation): Promise<Outcome & { reply: Reply }> {
  const [reply, outcome] = await asked(front, situation)
  void reply.ended().catch(() => {})
  return { reply, ...(await outcome) }
}
