import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Express, Request, Response } from 'express'
import { type ChildExit, pipeChild, type PipeChildOptions } from 'sluiceway'
import { expressVersions } from '../support/express/express-versions.js'
import { serve, type TestServer } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

export interface Piped extends TestServer {
  readonly child: Promise<ChildProcess>
  readonly exit: Promise<ChildExit>
}

/** What a test may say of the response that a child is piped into. */
export interface PipedResponse {
  readonly type?: string
  readonly app?: Express
  /** Waited for before the child is started. */
  readonly before?: (res: Response) => Promise<unknown>
}

/** Serves one command at `/`; an error before the head is answered with its code or message. */
export async function piped(
  start: () => ChildProcess,
  options: PipeChildOptions,
  { type, app = expressVersions[0].express(), before }: PipedResponse = {},
): Promise<Piped> {
  const started = deferred<ChildProcess>()
  const exited = deferred<ChildExit>()
  app.get('/', async (_req: Request, res: Response) => {
    await before?.(res)
    if (type !== undefined) res.type(type)
    const child = start()
    started.resolve(child)
    pipeChild(res, child, options).then(exited.resolve, (error: NodeJS.ErrnoException) => {
      res
        .status(404)
        .type('txt')
        .end(error.code ?? error.message)
    })
  })
  return { ...(await serve(app)), child: started.promise, exit: exited.promise }
}

/** A shell that leads a process group of its own. */
export function sh(script: string): ChildProcess {
  return spawn('sh', ['-c', script], { detached: true })
}

/** Waits until nobody of a process group is alive; the test times out where somebody stays. */
export async function allGone(group: number): Promise<void> {
  while (membersOf(group).length > 0) await new Promise((resolve) => setTimeout(resolve, 2))
}

/**
 * The processes of a group that are alive. One that has ended but waits for init to take notice (state Z in /proc)
 * is dead. Without /proc, only the leader can be asked for.
 */
export function membersOf(group: number): number[] {
  if (!existsSync('/proc/self/stat')) return isRunning(group) ? [group] : []
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return processes.filter((pid) => isLivingMember(pid, group)).map(Number)
}

function isLivingMember(pid: string, group: number): boolean {
  try {
    // "pid (command) state parent group …"; the command may hold any character.
    const [state, , member] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return state !== 'Z' && Number(member) === group
  } catch {
    return false // it has just ended
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
