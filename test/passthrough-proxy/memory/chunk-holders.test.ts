import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'
import { holders, type Holder, type Keep } from './chunk-holders.js'

/** More than the buffers of the system take, so that the upload also has to wait. */
const LARGE = Buffer.alloc(12 * 1024 * 1024)
for (let at = 0; at < LARGE.length; at += 4) LARGE.writeUInt32BE(at, at)
const SMALL = LARGE.subarray(0, 1024 * 1024)

/** A chunk that is kept, and a copy of what it was. */
interface Kept {
  readonly chunk: Uint8Array
  readonly copy: Buffer
}

function digestOf(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}

async function receive(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    if (chunks.length % 4 === 0) await turn()
  }
  return Buffer.concat(chunks)
}

/** Waits until a chunk waits in the request, as the upstream does not read. */
async function chunkWaits(req: IncomingMessage): Promise<void> {
  while (!req.isPaused() || req.readableLength === 0) await turn()
}

async function answerOf(sending: ReturnType<typeof request>, body: Buffer): Promise<string> {
  const answered = once(sending, 'response')
  sending.end(body)
  const [response] = await answered
  return text(response)
}

type Send = (port: number, body: Buffer, headers?: Record<string, string>) => Promise<string>

const clients: Readonly<Record<string, Send>> = {
  http: (port, body, headers = {}) =>
    answerOf(request({ port, method: 'POST', agent: false, headers }), body),
  'http with Expect': (port, body) => clients['http']!(port, body, { Expect: '100-continue' }),
  https: (port, body) =>
    answerOf(https.request({ port, method: 'POST', agent: false, ca: certificate }), body),
  async http2(port, body) {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    stream.end(body)
    return text(stream).finally(() => session.close())
  },
}

/** What listens to a client of that name. */
function serverOf(client: string, app: RequestListener, options = {}): Server {
  if (client === 'https') return https.createServer({ ...options, key, cert: certificate }, app)
  if (client === 'http2') return http2.createServer(app as never) as unknown as Server
  return createServer(options, app)
}

function bodyOf({ waits }: Holder): Buffer {
  return waits ? LARGE : SMALL
}

describe('the chunks of an upload through passthroughProxy', () => {
  let kept: Kept[]
  let undo: (() => void) | undefined
  const keep: Keep = (chunk) => {
    if (chunk instanceof Uint8Array && chunk.length > 0) kept.push({ chunk, copy: Buffer.from(chunk) })
  }
  beforeEach(() => (kept = []))
  afterEach(async () => {
    undo?.()
    undo = undefined
    await closeServers()
  })

  /** Sends the body, and returns the digest of what the upstream got. */
  async function send(holder: Holder, host = hosts[0]!, client = 'http'): Promise<string> {
    let sent: IncomingMessage | undefined
    const answer = async (req: IncomingMessage): Promise<string> => {
      if (holder.waits) await chunkWaits(sent!)
      const [body] = await Promise.all([receive(req), holder.after?.(sent!, keep)])
      return digestOf(body)
    }
    const upstream = await serve((req, res) => void answer(req).then((digest) => res.end(digest)))
    const proxy = passthroughProxy(upstream.url)
    const held: Handler = (req, res, next) => {
      sent = req
      holder.before?.(req, keep)
      proxy(req, res, next)
    }
    const app = host.mount(...(holder.middlewares ?? []), held)
    const { port } = await listen(serverOf(client, app, holder.server?.(keep)))
    undo = holder.patch?.(keep)
    const headers = holder.adds ? { 'Transfer-Encoding': 'chunked' } : {}
    return clients[client]!(port, bodyOf(holder), headers)
  }

  function expectIntact(): void {
    expect(kept).to.have.length.above(0)
    expect(kept.filter(({ chunk, copy }) => !copy.equals(chunk))).to.have.length(0)
  }

  for (const [what, holder] of Object.entries(holders)) {
    it(`stay as they are for ${what}`, async () => {
      const digest = await send(holder)
      if (holder.adds === undefined) expect(digest).to.equal(digestOf(bodyOf(holder)))
      expectIntact()
      if (holder.keepsAll) expect(Buffer.concat(kept.map(({ chunk }) => chunk)).equals(SMALL)).to.equal(true)
    })
  }

  for (const client of Object.keys(clients)) {
    for (const host of client === 'http2' ? [hosts[0]!] : hosts) {
      for (const what of ['a listener before the proxy', 'a wrapped on']) {
        it(`stay as they are for ${what}: ${client}, ${host.name}`, async () => {
          expect(await send(holders[what]!, host, client)).to.equal(digestOf(SMALL))
          expectIntact()
        })
      }
    }
  }
})
