import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { type Handler, hosts } from '../../test/support/hosts.js'
import { listen } from '../../test/support/servers.js'
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
export async function startVariant(hostName: string, mounted: readonly Mounted[]): Promise<number> {
  const host = hosts.find(({ name }) => name === hostName)!
  const app = host.mount(identify, ...(await middlewares(mounted)), handle)
  const server: Server = createServer(app)
  if (mounted.includes('attach')) attach(server, app)
  return (await listen(server)).port
}

async function middlewares(mounted: readonly Mounted[]): Promise<Handler[]> {
  const has = (name: Mounted): boolean => mounted.includes(name)
  const limit = (req: IncomingMessage): number => (isPath(req, '/read') ? READ_LIMIT : 1_000_000)
  return [
    ...(has('autoFlush') ? [autoFlush()] : []),
    ...(has('maxBytes') ? [maxBytes({ limit, lingerMs: 300 })] : []),
    ...(has('bodyCache') ? [bodyCache({ memory: 1000 })] : []),
    ...(has('passthroughProxy') ? [passthroughProxy(await upstream())] : []),
  ]
}

async function upstream(): Promise<string> {
  return (await listen(createServer((req, res) => void handle(req, res, () => res.end())))).url
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
  else res.end(`quick ${idOf(req)}`)
}

function read(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
  let length = 0
  req.on('data', (chunk: Buffer) => (length += chunk.length))
  req.on('end', () => res.end(`read ${length} for ${idOf(req)}`))
  req.on('error', next)
}
