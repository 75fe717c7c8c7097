import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import compression from 'compression'
import { type RequestHandler, Router } from 'express'
import { autoFlush, pipeChild } from 'sluiceway'

const command = fileURLToPath(new URL('../command.js', import.meta.url))

/** The output of one command on two routes. Both are compressed; only the first is flushed. */
export function linesRoutes(): Router {
  const routes = Router()
  routes.get('/clock', tellTime)
  routes.get('/flushed', compression(), autoFlush(), runCommand)
  routes.get('/held', compression(), runCommand)
  return routes
}

/** The page compares its clock with this one: lines carry the server's time. */
const tellTime: RequestHandler = (req, res) => {
  res.set('Cache-Control', 'no-store').json({ now: Date.now() })
}

const runCommand: RequestHandler = async (req, res) => {
  const child = spawn(process.execPath, [command], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  res.type('text/plain').set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
  await pipeChild(res, child)
}
