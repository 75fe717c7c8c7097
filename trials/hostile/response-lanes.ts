import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import compression from 'compression'
import { attach, bodyCache, passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { type Handler, hosts } from '../../test/support/express/hosts.js'
import { listen } from '../../test/support/servers/servers.js'
import type { Connections, Transport } from './response-transports.js'
import type { HostileUpstream } from './response-upstream.js'

/** What stands in front of the proxy, and what is mounted on it. */
export interface Front {
  readonly name: string
  readonly host: string
  readonly attaches: boolean
  readonly inFront: () => Handler[]
  readonly hooks?: PassthroughProxyOptions
  readonly compresses?: true
}

export const fronts: readonly Front[] = [
  { name: 'nothing in front', host: 'bare http', attaches: true, inFront: () => [] },
  {
    name: 'hooks',
    host: 'Express 5',
    attaches: true,
    inFront: () => [],
    hooks: {
      onRequest: async ({ headers }) => {
        headers.set('X-Asked', 'yes')
      },
      onResponse: ({ headers }) => {
        headers.set('X-Hooked', 'yes')
      },
    },
  },
  {
    name: 'compression in front',
    host: 'Express 4',
    attaches: false,
    inFront: () => [compression({ threshold: 0 }) as Handler],
    compresses: true,
  },
  { name: 'bodyCache in front', host: 'Express 5', attaches: true, inFront: () => [bodyCache()] },
]

/** A proxy in front of an upstream, on one connection. */
export interface Lane {
  readonly name: string
  readonly transport: Transport
  readonly front: Front
  readonly port: number
  readonly upstream: HostileUpstream
  /** Ends what the proxy holds of connections. */
  readonly close: () => Promise<void>
}

/** How long a proxy waits for its upstream, where nothing else is asked for. A foreign parser waits where ours refuses. */
const PATIENT_MS = 5000
const FOREIGN_MS = 1500

export async function startLane(
  transport: Transport,
  front: Front,
  upstream: HostileUpstream,
  timeoutMs: number = transport.isForeign ? FOREIGN_MS : PATIENT_MS,
): Promise<Lane> {
  const connections = await transport.open(timeoutMs)
  const proxy = passthroughProxy(upstream.url, {
    ...connections.options,
    ...front.hooks,
    headersTimeoutMs: timeoutMs,
    idleTimeoutMs: timeoutMs,
  })
  const app = hosts.find(({ name }) => name === front.host)!.mount(...front.inFront(), tellingErrors(proxy))
  const server = createServer(app)
  if (front.attaches) attach(server, app)
  const { port } = await listen(server)
  const name = `${transport.name}, ${front.name}`
  return { name, transport, front, port, upstream, close: () => closeAll(connections, proxy) }
}

async function closeAll(connections: Connections, proxy: Handler): Promise<void> {
  ;(proxy as Handler & { close?: () => void }).close?.()
  await connections.close()
}

/** Answers an error with its status and its code. */
function tellingErrors(proxy: Handler): Handler {
  return function proxyHandler(req, res, next) {
    return proxy(req, res, (error) => (error === undefined ? next() : tellError(req, res, error)))
  }
}

function tellError(_req: IncomingMessage, res: ServerResponse, error: unknown): void {
  const { status = 500, code = 'none', message } = error as Error & { status?: number; code?: string }
  res.statusCode = status
  res.setHeader('X-Code', code)
  res.end(message)
}
