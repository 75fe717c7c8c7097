import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import compression from 'compression'
import { type Request, type RequestHandler, type Response, Router } from 'express'
import { autoFlush, pipeChild } from 'sluiceway'
import type { Traces } from '../traces.js'

const program = fileURLToPath(new URL('../deploy-step.js', import.meta.url))
const steps = ['install', 'test', 'publish']

/** Several commands, one response: it stops at the first that fails. `?broken=` names a step that does. */
export function deployRoutes(traces: Traces): Router {
  const deploy: RequestHandler = async (req, res) => {
    res.type('text/event-stream').set('Cache-Control', 'no-store')
    const failed = await runSteps(req, res)
    res.end(`event: end\ndata: ${failed === undefined ? 'deployed' : `failed: ${failed}`}\n\n`)
  }

  /** Returns the step that failed, if one did. */
  async function runSteps(req: Request, res: Response): Promise<string | undefined> {
    for (const step of steps) {
      res.write(`event: step\ndata: ${step}\n\n`)
      const child = spawn(process.execPath, [program, step, ...flagsFor(step, req)], { detached: true })
      const trace = traces.of(req)
      child.once('spawn', () => trace.note('command', 'started', { step }))
      child.once('exit', (code, signal) => trace.note('command', 'exited', { step, code, signal }))
      trace.holdUntil(child, 'close')
      const { code } = await pipeChild(res, child, { end: false, stderr: 'event' })
      if (code !== 0) return step
    }
    return undefined
  }

  const routes = Router()
  routes.post('/run', compression(), autoFlush(), deploy)
  return routes
}

/** The page asks for the times; a terminal shows lines without them. */
function flagsFor(step: string, { query }: Request): string[] {
  return [...(query['broken'] === step ? ['--broken'] : []), ...('run' in query ? ['--with-times'] : [])]
}
