import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import { bodyCache, type BodyCacheOptions } from 'sluiceway/body-cache'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { listen, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

const CHUNKED = ['Transfer-Encoding: chunked']

/** A request behind bodyCache whose head has arrived: the test reads it itself, step by step. */
export interface Exchange {
  readonly client: RawClient
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/** Starts a server and sends it the head of a POST. */
export async function exchange(
  headers: readonly string[] = CHUNKED,
  options: BodyCacheOptions = {},
): Promise<Exchange> {
  const { promise, resolve } = deferred<[IncomingMessage, ServerResponse]>()
  const { port } = await serve(hosts[0]!.mount(bodyCache(options), (req, res) => resolve([req, res])))
  const client = await RawClient.connect(port)
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${headers.join('\r\n')}\r\n\r\n`)
  const [req, res] = await promise
  return { client, req, res }
}

/** Sends a body over HTTP/2 to a handler behind bodyCache, and returns its answer. */
export async function postOverHttp2(handler: Handler, body: string): Promise<string> {
  const server = http2.createServer(hosts[0]!.mount(bodyCache(), handler) as never)
  const { port } = await listen(server as never)
  const session = http2.connect(`http://127.0.0.1:${port}`)
  const stream = session.request({ ':method': 'POST' })
  stream.end(body)
  const answer = await text(stream)
  session.destroy()
  return answer
}
