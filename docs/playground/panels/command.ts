import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import compression from 'compression'
import { type RequestHandler, Router } from 'express'
import { autoFlush, pipeChild } from 'sluiceway'
import type { Traces } from '../traces.js'

const program = fileURLToPath(new URL('../command.js', import.meta.url))

/** The output of a command: text for curl, and server-sent events for the page, which asks for them. */
export function commandRoutes(traces: Traces): Router {
  const running = new Set<ChildProcess>()

  const runCommand: RequestHandler = async (req, res) => {
    const type = req.accepts(['text/plain', 'text/event-stream']) || 'text/plain'
    const timed = type === 'text/event-stream' ? ['--with-times'] : []
    const child = spawn(process.execPath, [program, ...timed], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    watch(child)
    const trace = traces.of(req)
    child.once('spawn', () => trace.note('command', 'started', { pid: child.pid }))
    child.once('exit', (code, signal) => trace.note('command', 'exited', { code, signal }))
    trace.holdUntil(child, 'close')

    res.type(type).set('Cache-Control', 'no-store')
    await pipeChild(res, child, { stderr: type === 'text/event-stream' ? 'event' : 'merge' })
  }

  function watch(child: ChildProcess): void {
    running.add(child)
    child.once('close', () => running.delete(child))
  }

  const routes = Router()
  routes.get('/run', compression(), autoFlush(), runCommand)
  routes.get('/running', (req, res) => {
    res.set('Cache-Control', 'no-store').json({ running: running.size })
  })
  return routes
}
