import { once } from 'node:events'
import {
  createServer,
  get,
  type IncomingMessage,
  OutgoingMessage,
  type RequestOptions,
  ServerResponse,
} from 'node:http'
import net, { type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect } from 'chai'
import compression from 'compression'
import { autoFlush, passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { needsOwnClient } from '../../support/undici/transports.js'

/** Arguments of `write`. */
type Writing = Parameters<OutgoingMessage['write']>

type Middleware = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

const SIZE = 8_000_000
const LARGE_CHUNK = 40_000
const MANY = 600

/** Each four bytes are their own offset. */
const body = Buffer.alloc(SIZE)
for (let at = 0; at < SIZE; at += 4) body.writeUInt32LE(at, at)

const heads = {
  chunks: 'Transfer-Encoding: chunked',
  'Content-Length': `Content-Length: ${SIZE}`,
  'the end of the connection': 'Connection: close',
}

function write(socket: Socket, framing: keyof typeof heads): void {
  socket.write(`HTTP/1.1 200 OK\r\n${heads[framing]}\r\n\r\n`)
  for (let at = 0; at < SIZE; at += 8000) {
    const piece = body.subarray(at, at + 8000)
    if (framing === 'chunks') socket.write(`${piece.length.toString(16)}\r\n`)
    socket.write(piece)
    if (framing === 'chunks') socket.write('\r\n')
  }
  socket.end(framing === 'chunks' ? '0\r\n\r\n' : '')
}

/** Answers each request with a large chunk and a small one in one packet, filled with the byte that its path names. */
function answerEach(socket: Socket): void {
  let asked = ''
  socket.on('data', (chunk: Buffer) => {
    asked += chunk.toString()
    for (let end = asked.indexOf('\r\n\r\n'); end !== -1; end = asked.indexOf('\r\n\r\n')) {
      const byte = Number(/^GET \/(\d+)/.exec(asked)![1])
      asked = asked.slice(end + 4)
      const chunks = [LARGE_CHUNK, 10].map((length) => asChunk(Buffer.alloc(length, byte)))
      const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
      socket.write(Buffer.concat([head, ...chunks, lastChunk].map((part) => Buffer.from(part))))
    }
  })
}

/** Reads an answer, with pauses now and then. */
async function readSlowly(from: RequestOptions): Promise<Buffer> {
  const [res] = (await once(get(from), 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of res as AsyncIterable<Buffer>) {
    if (chunks.push(chunk) % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return Buffer.concat(chunks)
}

/** Two ends of a connection within this process: a chunk written at one end is held until it is read at the other. */
function pair(): readonly [Duplex, Duplex] {
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _encoding, callback) {
        other().push(chunk)
        callback()
      },
    })
  const near: Duplex = end(() => far)
  const far: Duplex = end(() => near)
  return [near, far]
}

/** Where a body first differs, or -1. */
function firstDifference(one: Buffer, other: Buffer): number {
  for (let at = 0; at < one.length; at += 4) {
    if (one.readUInt32LE(at) !== other.readUInt32LE(at)) return at
  }
  return -1
}

// The buffer that an upstream is read into was reused while Node still held its bytes: Node 26 corks a response
// by itself and then holds its chunks outside the socket.
describe('passthroughProxy and chunks that Node holds', () => {
  afterEach(closeServers)

  const before: Record<string, Middleware> = {
    'a response as it is': (_req, _res, next) => next(),
    'a response behind compression': compression({ threshold: Infinity }) as unknown as Middleware,
    'a response behind autoFlush': autoFlush(),
  }
  for (const [name, middleware] of Object.entries(before)) {
    for (const framing of Object.keys(heads) as (keyof typeof heads)[]) {
      it(`passes each byte of a body on, framed by ${framing}, through ${name}`, async () => {
        const upstream = await listen(
          net.createServer((socket) => socket.once('data', () => write(socket, framing))),
        )
        const { express } = expressVersions[0]
        const { port } = await serve(express().use(middleware, passthroughProxy(upstream.url)))
        const seen = await readSlowly({ port, host: '127.0.0.1' })
        expect(seen.length).to.equal(SIZE)
        expect(firstDifference(body, seen)).to.equal(-1)
      })
    }
  }

  it('passes each byte on over a connection that is a custom stream which keeps its chunks', async () => {
    const upstream = await listen(
      net.createServer((socket) => socket.once('data', () => write(socket, 'Content-Length'))),
    )
    const { express } = expressVersions[0]
    const [near, far] = pair()
    createServer(express().use(passthroughProxy(upstream.url))).emit('connection', far)
    const seen = await readSlowly({ createConnection: () => near })
    expect(firstDifference(body, seen)).to.equal(-1)
  })

  it('passes each byte on to a tracer that has replaced ServerResponse.prototype.write', async () => {
    const upstream = await listen(
      net.createServer((socket) => socket.once('data', () => write(socket, 'Content-Length'))),
    )
    const kept: Buffer[] = []
    const traced = ServerResponse.prototype as { write?: (...args: Writing) => boolean }
    traced.write = function (this: OutgoingMessage, ...args: Writing) {
      kept.push(args[0] as Buffer)
      return OutgoingMessage.prototype.write.apply(this, args)
    }
    try {
      const { express } = expressVersions[0]
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      await readSlowly({ port, host: '127.0.0.1' })
    } finally {
      delete traced.write
    }
    const seen = Buffer.concat(kept)
    expect(firstDifference(seen, body)).to.equal(-1)
  })

  it('does not let the next answer overwrite an unread answer that ends with a small chunk', async function () {
    needsOwnClient(
      this,
      'undici stops within what it has read, and keeps its connection for a client that does not read',
    )
    const upstream = await listen(net.createServer((socket) => answerEach(socket)))
    const { express } = expressVersions[0]
    const { port } = await serve(express().use(passthroughProxy(upstream.url, { maxConnections: 1 })))
    const [slow, other] = [await RawClient.connect(port), await RawClient.connect(port)]
    slow.socket.pause()
    for (let number = 0; number < MANY; number += 1) slow.request('GET', `/${number % 200}`)
    // Meanwhile the slow one's connection fills, and what it does not take is held.
    for (let number = 0; number < MANY; number += 1) {
      other.request('GET', '/255')
      await other.response()
    }
    slow.socket.resume()
    for (let number = 0; number < MANY; number += 1) {
      const { body: seen } = await slow.response()
      expect(seen.equals(Buffer.alloc(LARGE_CHUNK + 10, number % 200)), `answer ${number}`).to.equal(true)
    }
  })
})
