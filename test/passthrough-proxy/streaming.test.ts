import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, request } from 'node:http'
import type { Writable } from 'node:stream'
import zlib from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import { passthroughProxy } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

const MORE = Buffer.alloc(64 * 1024)
const TOO_MUCH = 1024 * 1024 * 1024

/** A little more than the kernel's buffers of two connections hold. */
const HELD_ON_THE_WAY = 32 * 1024 * 1024

/** Writes as much as the receiver accepts, as soon as it does. */
function writeOn(to: Writable, count: (length: number) => number): void {
  const more = (): void => {
    while (count(MORE.length) < TOO_MUCH && to.write(MORE));
  }
  to.on('drain', more)
  more()
}

/**
 * Waits until `count` has stayed the same while a hundred other requests took the same path. Both sides are in this process,
 * so any pending work had its turn in between.
 */
async function untilStill(count: () => number, port: number): Promise<void> {
  const other = await RawClient.connect(port)
  let last = count()
  for (let still = 0; still < 100; still++) {
    other.request('GET', '/other')
    expect((await other.response()).status).to.equal(200)
    if (count() !== last) still = 0
    last = count()
  }
  other.destroy()
}

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy while it streams (${name})`, () => {
    afterEach(closeServers)

    it('has a connection for each of 300 event streams, and for one more request', async () => {
      const upstream = await serve((req, res) => {
        if (req.url === '/plain') res.end('plain')
        else res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(`data: ${req.url}\n\n`)
      })
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const paths = Array.from({ length: 300 }, (_, n) => `/${n}`)
      for (const path of [...paths, '/plain']) {
        const client = await RawClient.connect(port)
        client.request('GET', path)
        await client.untilText(path === '/plain' ? 'plain' : `data: ${path}\n\n`)
      }
    })

    it('passes on a GET and its answer, and keeps both connections for the next request', async () => {
      const upstream = await serve((req, res) => res.end(`${req.method} ${req.url}`))
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      for (const path of ['/one', '/two?x=1', '/three']) {
        client.request('GET', path)
        const response = await client.response()
        expect(response.status).to.equal(200)
        expect(response.body.toString()).to.equal(`GET ${path}`)
      }
      expect(upstream.connections).to.have.length(1)
    })

    it('passes on a POST body byte for byte', async () => {
      const upstream = await serve((req, res) => req.pipe(res))
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      const body = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 256))
      client.request('POST', '/', {}, body)
      expect((await client.response()).body.equals(body)).to.equal(true)
      client.request('POST', '/', {}, ['first', 'second'])
      expect((await client.response()).body.toString()).to.equal('firstsecond')
      expect(upstream.connections).to.have.length(1)
    })

    it('delivers the head of the answer before any byte of its body exists', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Early: yes\r\n\r\n')
      expect(await client.untilText('\r\n\r\n')).to.contain('X-Early: yes')
      connection.write('later')
      await client.untilText('later')
    })

    it('delivers chunk n of an answer before n+1 is sent', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (let n = 0; n < 5; n++) {
        connection.write(asChunk(`event ${n}\n`))
        await client.untilText(`event ${n}\n`)
      }
      connection.write(lastChunk)
      await client.untilText(lastChunk)
    })

    it('delivers chunk n of an upload before n+1 is sent', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
      client.write(asChunk('part 0'))
      const connection = await upstream.connection()
      for (let n = 0; n < 5; n++) {
        await connection.untilText(`part ${n}`)
        client.write(asChunk(`part ${n + 1}`))
      }
      client.write(lastChunk)
      await connection.untilText(lastChunk)
    })

    it('carries a conversation: answers chunk by chunk during the upload', async () => {
      const upstream = await serve((req, res) => {
        res.writeHead(200)
        req.pipe(res)
      })
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (let n = 0; n < 5; n++) {
        client.write(asChunk(`message ${n}`))
        await client.untilText(`message ${n}`)
      }
      client.write(lastChunk)
      await client.untilText(lastChunk)
    })

    it("waits for a compressor many times with one 'drain' listener", async () => {
      const text = randomBytes(2_000_000).toString('hex')
      const upstream = await serve((_req, res) => res.setHeader('Content-Type', 'text/plain').end(text))
      const listeners: number[] = []
      const app = express().use(
        compression(),
        (_req, res, next) => {
          const write = res.write.bind(res) as (...args: unknown[]) => boolean
          let compressor: NodeJS.EventEmitter | undefined
          res.write = (...args: unknown[]) => {
            const more = write(...args)
            // `compression` gives the emitter to which it moves the listener.
            compressor ??= res.on('drain', () => {})
            if (!more) listeners.push(compressor.listenerCount('drain'))
            return more
          }
          next()
        },
        passthroughProxy(upstream.url),
      )
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/', { 'Accept-Encoding': 'gzip' })
      const { body } = await client.response()
      expect(zlib.gunzipSync(body).toString() === text).to.equal(true)
      expect(listeners.length).to.be.above(5)
      expect(listeners.at(-1)).to.equal(2)
    })

    it('delivers chunk n through compression before n+1 is sent', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(compression({ threshold: 0 }), passthroughProxy(upstream.url))
      const { port } = await serve(app)
      const incoming = get({ port, headers: { 'accept-encoding': 'gzip' } })
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n')
      const [response] = await once(incoming, 'response')
      expect(response.headers['content-encoding']).to.equal('gzip')
      const decoded = response.pipe(zlib.createGunzip())
      for (let n = 0; n < 5; n++) {
        connection.write(asChunk(`event ${n}\n`))
        const [chunk] = await once(decoded, 'data')
        expect(String(chunk)).to.equal(`event ${n}\n`)
      }
      connection.write(lastChunk)
      await once(decoded, 'end')
    })

    it('carries a conversation on raw sockets: each side sends only after it has received', async () => {
      const upstream = await scriptedUpstream()
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 35\r\n\r\n')
      client.write('part 0;')
      const connection = await upstream.connection()
      await connection.untilText('part 0;')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n')
      await client.untilText('\r\n\r\n')
      for (let n = 0; n < 5; n++) {
        connection.write(`answer ${n};`)
        await client.untilText(`answer ${n};`)
        if (n === 4) break
        client.write(`part ${n + 1};`)
        await connection.untilText(`part ${n + 1};`)
      }
      expect([client.pending.length, connection.pending.length]).to.deep.equal([0, 0])
      client.request('GET', '/next')
      await connection.untilText('GET /next')
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    it('stops reading from the upstream while the client does not read', async () => {
      let written = 0
      const upstream = await serve((req, res) => {
        if (req.url === '/other') res.end()
        else writeOn(res, (length) => (written += length))
      })
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const client = await RawClient.connect(port)
      client.socket.pause()
      client.request('GET', '/')
      await untilStill(() => written, port)
      expect(written).to.be.within(MORE.length, HELD_ON_THE_WAY)
      client.destroy()
    })

    it('stops reading from the client while the upstream does not read', async () => {
      const upstream = await serve((req, res) => void (req.url === '/other' && res.end()))
      const { port } = await serve(express().use(passthroughProxy(upstream.url)))
      const upload = request({ port, method: 'POST' })
      upload.on('error', () => {})
      let written = 0
      writeOn(upload, (length) => (written += length))
      await untilStill(() => written, port)
      expect(written).to.be.within(MORE.length, HELD_ON_THE_WAY)
      upload.destroy()
    })
  })
}
