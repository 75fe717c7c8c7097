import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type { Readable, Writable } from 'node:stream'
import { type Handler, hosts } from '../support/express/hosts.js'
import { listen, type TestServer } from '../support/servers/servers.js'

/** How a request is made. The body that is 'open' is written by the test. */
export interface Asked {
  readonly method?: string
  readonly body?: string
  readonly headers?: Record<string, string>
}

/** What a client sees of a response, over HTTP/1.1 and HTTP/2 alike. */
export interface Reply {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly trailers: () => Record<string, unknown>
  /** All that has come so far. */
  readonly text: () => string
  readonly body: Readable
  readonly upload: Writable
  readonly received: (text: string) => Promise<void>
  /** Resolves with the whole, or rejects where it was cut. */
  readonly ended: () => Promise<string>
  readonly leave: () => void
}

/** A server that runs one handler, and a client for it. */
export interface Front {
  readonly name: string
  readonly isHttp2: boolean
  readonly serve: (...handlers: readonly Handler[]) => Promise<Served>
}

export interface Served {
  readonly ask: (asked?: Asked) => Promise<Reply>
  readonly server: TestServer
  /** Only over HTTP/2: the session of the last request. */
  readonly session: () => http2.ClientHttp2Session
}

/** Bare http, Express 4, Express 5, and HTTP/2 through Node's compatibility API. */
export const fronts: readonly Front[] = [
  ...hosts.map(({ name, mount }) => ({
    name,
    isHttp2: false,
    serve: async (...handlers: readonly Handler[]) => {
      const server = await listen(http.createServer(mount(...handlers)))
      const session = (): never => {
        throw new Error('only HTTP/2 has sessions')
      }
      return { server, session, ask: (asked?: Asked) => askHttp1(server.port, asked) }
    },
  })),
  { name: 'HTTP/2', isHttp2: true, serve: serveHttp2 },
]

async function serveHttp2(...handlers: readonly Handler[]): Promise<Served> {
  const listener = hosts[0]!.mount(...handlers) as never
  const server = (await listen(http2.createServer(listener) as never)) as TestServer
  let session: http2.ClientHttp2Session
  return {
    server,
    session: () => session,
    ask: async (asked = {}) => {
      session = http2.connect(server.url)
      session.on('error', () => {})
      return askHttp2(session, asked)
    },
  }
}

async function askHttp1(port: number, { method = 'GET', body, headers = {} }: Asked = {}): Promise<Reply> {
  const request = http.request({ port, host: '127.0.0.1', method, agent: false, headers })
  request.on('error', () => {})
  if (body === 'open') request.flushHeaders()
  else request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return reply(response, request, {
    status: response.statusCode!,
    headers: response.headers,
    trailers: () => response.trailers,
    leave: () => request.destroy(),
  })
}

async function askHttp2(
  session: http2.ClientHttp2Session,
  { method = 'GET', body, headers = {} }: Asked,
): Promise<Reply> {
  const endStream = body === undefined
  const stream = session.request({ ...headers, ':path': '/', ':method': method }, { endStream })
  stream.on('error', () => {})
  if (!endStream && body !== 'open') stream.end(body)
  let trailers: Record<string, unknown> = {}
  stream.on('trailers', (received) => (trailers = received as Record<string, unknown>))
  stream.once('close', () => session.close())
  const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }]
  return reply(stream, stream, {
    status: head[':status'],
    headers: head,
    trailers: () => trailers,
    leave: () => session.destroy(),
  })
}

function reply(
  body: Readable,
  upload: Writable,
  rest: Pick<Reply, 'status' | 'headers' | 'trailers' | 'leave'>,
): Reply {
  let text = ''
  const end = new Promise<string>((resolve, reject) => {
    body.on('end', () => resolve(text))
    body.on('error', reject)
    body.on('aborted', () => reject(new Error('cut')))
    body.on('close', () => reject(new Error('cut')))
  })
  end.catch(() => {})
  return {
    ...rest,
    body,
    upload,
    text: () => text,
    ended: async () => {
      read()
      return end
    },
    received: async (part) => {
      read()
      while (!text.includes(part)) await once(body, 'data')
    },
  }

  /** A client reads once it is asked for what has come. */
  function read(): void {
    if (body.listenerCount('data') === 0)
      body.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  }
}
