import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type net from 'node:net'

/** A server on a free port of 127.0.0.1, with the connections it has seen. */
export interface TestServer<Kind extends net.Server = Server> {
  readonly server: Kind
  readonly port: number
  readonly url: string
  /** Every connection ever accepted, including those that are closed. */
  readonly connections: readonly Socket[]
}

const open = new Set<{ server: net.Server; connections: Socket[] }>()

/** Starts `handler` behind a plain HTTP server. `closeServers` ends it. */
export function serve(handler: RequestListener): Promise<TestServer> {
  return listen(createServer(handler))
}

/** Starts any server of Node's, on a free port of 127.0.0.1 by default. `closeServers` ends it. */
export function listen<Kind extends net.Server>(
  server: Kind,
  at: net.ListenOptions = { port: 0, host: '127.0.0.1' },
): Promise<TestServer<Kind>> {
  const connections: Socket[] = []
  open.add({ server, connections })
  server.on('connection', (socket: Socket) => connections.push(socket))
  return new Promise((resolve) => {
    server.listen(at, () => {
      const { port } = server.address() as AddressInfo
      resolve({ server, port, url: `http://127.0.0.1:${port}`, connections })
    })
  })
}

/** Ends every server that a test started, with its connections: use it as `afterEach(closeServers)`. */
export async function closeServers(): Promise<void> {
  const closing = [...open].map(({ server, connections }) => {
    for (const socket of connections) socket.destroy()
    return new Promise<void>((resolve) => {
      server.close(() => resolve())
    })
  })
  open.clear()
  await Promise.all(closing)
}
