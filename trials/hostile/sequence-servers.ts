import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { type Handler, hosts } from '../../test/support/express/hosts.js'
import { listen, type TestServer } from '../../test/support/servers/servers.js'
import { READ_LIMIT } from './messages.js'

export type Mounted = 'attach' | 'maxBytes' | 'bodyCache' | 'autoFlush' | 'passthroughProxy'

/** What is mounted together; with nothing it is the oracle. */
export const variants: readonly (readonly Mounted[])[] = [
  ['attach'],
  ['attach', 'maxBytes'],
  ['attach', 'bodyCache'],
  ['attach', 'autoFlush'],
  ['attach', 'passthroughProxy'],
  ['maxBytes', 'bodyCache', 'autoFlush', 'passthroughProxy'],
  ['attach', 'maxBytes', 'bodyCache', 'autoFlush', 'passthroughProxy'],
]

/** Starts the same application on a host, with a variant in front of its handlers. Returns the port. */
export async function startVariant(
  hostName: string,
  mounted: readonly Mounted[],
  upstreamTunnels = false,
): Promise<number> {
  return (await startServer(hostName, mounted, upstreamTunnels)).port
}

/** With `upstreamTunnels`, the upstream accepts upgrades; otherwise it serves them as plain requests, as the oracle does. */
export async function startServer(
  hostName: string,
  mounted: readonly Mounted[],
  upstreamTunnels = false,
): Promise<TestServer> {
  const host = hosts.find(({ name }) => name === hostName)!
  const app = host.mount(identify, ...(await middlewares(mounted, upstreamTunnels)), handle)
  const server: Server = createServer(app)
  if (mounted.includes('attach')) attach(server, app)
  return listen(server)
}

async function middlewares(mounted: readonly Mounted[], upstreamTunnels: boolean): Promise<Handler[]> {
  const has = (name: Mounted): boolean => mounted.includes(name)
  const limit = (req: IncomingMessage): number => (isPath(req, '/read') ? READ_LIMIT : 1_000_000)
  return [
    ...(has('autoFlush') ? [autoFlush()] : []),
    ...(has('maxBytes') ? [maxBytes({ limit, lingerMs: 300 })] : []),
    ...(has('bodyCache') ? [bodyCache({ memory: 1000 })] : []),
    ...(has('passthroughProxy') ? [passthroughProxy(await upstream(upstreamTunnels))] : []),
  ]
}

async function upstream(tunnels: boolean): Promise<string> {
  const server = createServer((req, res) => void handle(req, res, () => res.end()))
  const onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (isPath(req, '/tunnel')) echo(req, socket, head)
    else socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n')
  }
  if (tunnels) server.on('upgrade', onUpgrade)
  return (await listen(server)).url
}

/** Accepts an upgrade, and sends back whatever comes behind it. */
function echo(req: IncomingMessage, socket: Duplex, head?: Buffer): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Id: ${idOf(req)}\r\n\r\n`,
  )
  if (head !== undefined) socket.write(head)
  socket.on('error', () => {}).pipe(socket)
}

function isPath(req: IncomingMessage, path: string): boolean {
  return req.url?.startsWith(path) === true
}

/** Lets every answer, those to errors included, say which message it is for. */
const identify: Handler = (req, res, next) => {
  res.setHeader('X-Id', idOf(req))
  next()
}

function idOf(req: IncomingMessage): string {
  return req.url?.split('/').at(-1) ?? ''
}

const SLOW_MS = 15

const handle: Handler = (req, res, next) => {
  if (isPath(req, '/slow')) setTimeout(() => res.end(`slow ${idOf(req)}`), SLOW_MS)
  else if (isPath(req, '/read')) read(req, res, next)
  else if (isPath(req, '/tunnel') && (req as { upgrade?: boolean }).upgrade === true) echo(req, req.socket)
  else res.end(`quick ${idOf(req)}`)
}

function read(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
  let length = 0
  req.on('data', (chunk: Buffer) => (length += chunk.length))
  req.on('end', () => res.end(`read ${length} for ${idOf(req)}`))
  req.on('error', next)
}
