// The HTTP/2 front of the storm. Express does not serve HTTP/2, so it is a bare server.
import { once } from 'node:events'
import {
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { type Handler, hosts } from '../../test/support/express/hosts.js'
import { closed } from '../../test/support/process/open-resources.js'
import { pause, type Upstream } from './servers.js'

/** Starts a server over HTTP/2 that returns bodies, through the upstream for `/proxied`. */
export async function serveHttp2(upstream: Upstream, directory: string): Promise<[Http2Server, number]> {
  const proxy = passthroughProxy(upstream.url)
  const route: Handler = (req, res, next) => {
    if (req.url?.startsWith('/proxied')) {
      req.url = req.url.slice('/proxied'.length) || '/'
      proxy(req, res, next)
    } else req.bodyCache.buffer().then((body) => void res.end(body), next)
  }
  const limits = [maxBytes('1mb'), bodyCache({ memory: '16kb', directory })]
  const listener = hosts[0]!.mount(autoFlush({ heartbeatMs: 20 }), ...limits, route)
  const server = createServer(listener as never).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return [server, (server.address() as AddressInfo).port]
}

/** Sends a body on a session of its own, and returns the status and the body of the answer. */
export async function askOverHttp2(
  port: number,
  path: string,
  body: Buffer,
): Promise<{ status: number; body: Buffer }> {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  try {
    const stream = session.request({ ':method': 'POST', ':path': path })
    stream.end(body)
    const [[head], answer] = (await Promise.all([once(stream, 'response'), buffer(stream)])) as [
      [IncomingHttpHeaders],
      Buffer,
    ]
    return { status: Number(head[':status']), body: answer }
  } finally {
    session.destroy()
  }
}

/** What a client does on its stream before it leaves. */
export const http2Phases: Readonly<Record<string, (stream: ClientHttp2Stream) => unknown>> = {
  'over HTTP/2, in an upload': (stream) => stream.write(Buffer.alloc(100_000)),
  'over HTTP/2, in an upload that is too long': (stream) => stream.write(Buffer.alloc(3_000_000)),
  'over HTTP/2, behind an upload': (stream) => stream.end(Buffer.alloc(100_000)),
  'over HTTP/2, as a slow reader': (stream) => stream.pause().end(),
}
const paths = ['/read', '/proxied', '/proxied/deaf', '/proxied/endless']

/** Opens a stream, and resets it or ends the session up to 200 ms later. */
export async function leaveOverHttp2(port: number, phase: string): Promise<void> {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  const path = paths[Math.floor(Math.random() * paths.length)]
  const stream = session.request({ ':method': 'POST', ':path': path }, { endStream: false })
  stream.on('error', () => {})
  http2Phases[phase]?.(stream)
  await pause(Math.random() * 200)
  if (Math.random() < 0.5) {
    stream.close(constants.NGHTTP2_CANCEL)
    // Node's client closes a stream with unsent bytes only with its session.
    await pause(20)
  }
  session.destroy()
  await closed(stream)
}
