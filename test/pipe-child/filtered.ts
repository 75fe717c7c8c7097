import type { ChildProcess } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PipeChildOptions } from 'sluiceway'
import type { Handler } from '../support/express/hosts.js'
import { deferred } from '../support/time/deferred.js'
import type { Front, Reply } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'

type Start = (req: IncomingMessage, res: ServerResponse) => ChildProcess

export interface Filtered {
  readonly outcome: Promise<Outcome>
  readonly child: Promise<ChildProcess>
  readonly ask: (body?: string) => Promise<Reply>
}

/** Pipes the request through a child and back, behind other middlewares. */
export async function filtered(
  front: Front,
  start: Start,
  options: PipeChildOptions = {},
  before: Handler[] = [],
): Promise<Filtered> {
  const outcome = deferred<Outcome>()
  const started = deferred<ChildProcess>()
  const { ask } = await front.serve(...before, async (req, res, next) => {
    const child = start(req, res)
    started.resolve(child)
    const found = await pipedCleanly(req, res, child, { stdin: req, ...options })
    outcome.resolve(found)
    if (found.error !== undefined && !res.headersSent) next(found.error)
  })
  return {
    outcome: outcome.promise,
    child: started.promise,
    ask: (body = 'open') => ask({ method: 'POST', body }),
  }
}
