import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import path from 'node:path'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { type Handler, hosts } from '../../test/support/express/hosts.js'
import { openFilesIn } from '../../test/support/process/temporary-files.js'
import type { CarelessCase, ChainName } from './careless-cases.js'
import { pause, visit } from './careless-clients.js'
import { doCarelessly } from './careless-handlers.js'

/** Where a case runs. */
export interface Ground {
  readonly directory: string
  readonly upstream: string
}

/** What a case has left behind when its client has been gone for a while. */
export interface Remains {
  readonly connections: number
  readonly files: number
}

/** The `lingerMs` of the middlewares below; nothing may outlive its client for longer. */
const LINGER_MS = 400

const POLL_MS = 5

let serial = 0

/** Runs one case, with its middlewares or without any, and tells what it has left after `boundMs`. */
export async function remainsOf(
  one: CarelessCase,
  ground: Ground,
  withUs: boolean,
  boundMs: number,
): Promise<Remains> {
  const directory = path.join(ground.directory, String(serial++))
  mkdirSync(directory)
  const { server, open } = await start(one, { ...ground, directory }, withUs)
  const accepted = once(server, 'connection')
  await visit((server.address() as AddressInfo).port, one.client, accepted)
  const remains = await watch(open, directory, boundMs)
  for (const socket of open) socket.destroy()
  await new Promise((resolve) => void server.close(resolve))
  return remains
}

async function watch(open: ReadonlySet<Socket>, directory: string, boundMs: number): Promise<Remains> {
  const end = performance.now() + boundMs
  while (open.size > 0 && performance.now() < end) await pause(POLL_MS)
  // To list the files costs a call for each of this process: connections go first.
  for (;;) {
    const remains = { connections: open.size, files: openFilesIn(directory).length }
    if (remains.files === 0 || performance.now() > end) return remains
    await pause(POLL_MS)
  }
}

async function start(
  one: CarelessCase,
  ground: Ground,
  withUs: boolean,
): Promise<{ server: Server; open: Set<Socket> }> {
  const app = hosts.find(({ name }) => name === one.host)!.mount(...handlersOf(one, ground, withUs))
  const server = createServer(app)
  if (withUs && one.attach) attach(server, app)
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return { server, open }
}

function handlersOf(one: CarelessCase, ground: Ground, withUs: boolean): Handler[] {
  const isOurs = (name: ChainName): boolean => withUs && one.chain.includes(name)
  const careless: Handler = (req, res, next) => {
    if (req.url === '/') doCarelessly(one.steps, { req, res, next: () => next() })
    else if (req.url === '/held') res.write('held')
    else res.end('next')
  }
  const behind: Handler = (req, res) => req.resume().on('end', () => res.writableEnded || res.end('behind'))
  return [
    ...(isOurs('autoFlush') ? [autoFlush({ heartbeatMs: 1000 })] : []),
    ...(isOurs('maxBytes') ? [maxBytes({ limit: 400_000, lingerMs: LINGER_MS })] : []),
    ...(isOurs('bodyCache')
      ? [bodyCache({ memory: 1000, parseLimit: Infinity, directory: ground.directory })]
      : []),
    careless,
    isOurs('passthroughProxy') ? passthroughProxy(ground.upstream) : behind,
  ]
}
