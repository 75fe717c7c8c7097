import { execFile } from 'node:child_process'
import { get, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect } from 'chai'
import compression from 'compression'
import { autoFlush, passthroughProxy } from 'sluiceway'
import { root } from '../../support/repository/repository.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'
import { deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'

type Handler = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

/** Each four bytes of it differ from all others, so that a mix-up shows. */
const BODY = Buffer.alloc(12 * 1024 * 1024)
for (let at = 0; at < BODY.length; at += 4) BODY.writeUInt32BE(at, at)

const framings: Readonly<Record<string, Handler>> = {
  'a length'(_req, res) {
    res.writeHead(200, { 'Content-Length': BODY.length }).end(BODY)
  },
  'small chunks'(_req, res) {
    for (let at = 0; at < BODY.length; at += 3001) res.write(BODY.subarray(at, at + 3001))
    res.end()
  },
  'no framing'(_req, res) {
    res.removeHeader('Transfer-Encoding')
    res.writeHead(200, { Connection: 'close' }).write(BODY)
    res.end()
  },
}

/** The code in front of the proxy, and what it may do with the chunks that it gets. */
const fronts: Readonly<Record<string, Handler>> = {
  nothing(_req, _res, next) {
    next()
  },
  compression: compression({ filter: () => true }) as unknown as Handler,
  autoFlush: autoFlush(),
  'a middleware that keeps each chunk until the end'(_req, res, next) {
    const chunks: Buffer[] = []
    const end = res.end.bind(res) as (chunk: Buffer) => ServerResponse
    res.write = ((chunk: Buffer) => chunks.push(chunk) > 0) as never
    res.end = ((last?: Buffer) => end(Buffer.concat([...chunks, last ?? Buffer.alloc(0)]))) as never
    next()
  },
  'a middleware that keeps what goes to the connection, for a while'(req, _res, next) {
    const { socket } = req
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    const end = socket.end.bind(socket)
    const waiting: (() => void)[] = []
    const keep = (step: () => void): void => {
      if (waiting.push(step) === 1) setImmediate(() => waiting.splice(0).forEach((run) => run()))
    }
    socket.write = (...args: unknown[]) => {
      keep(() => write(...args))
      return true
    }
    // Node may end the connection in the same turn as it writes the last bytes.
    socket.end = () => {
      keep(end)
      return socket
    }
    next()
  },
  'a middleware that corks the response'(_req, res, next) {
    res.cork()
    setImmediate(() => res.uncork())
    next()
  },
}

/** Reads a response slowly, so that it fills all buffers on the way. */
async function readSlowly(response: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let pause = 0; pause < 50; pause++) await turn()
  for await (const chunk of response) {
    chunks.push(chunk)
    if (chunks.length % 4 === 0) await turn()
  }
  return Buffer.concat(chunks)
}

function asked(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const ask = url.startsWith('https:') ? https.get : get
    ask(url, { ca: certificate, servername: 'localhost', agent: false } as https.RequestOptions, resolve).on(
      'error',
      reject,
    )
  })
}

async function askedOverHttp2(url: string): Promise<AsyncIterable<Buffer>> {
  const session = http2.connect(url)
  const stream = session.request({ ':path': '/' })
  stream.once('close', () => session.close())
  return Promise.resolve(stream)
}

describe('the read buffer of passthroughProxy', () => {
  afterEach(closeServers)

  it('is shared by connections that read little, and their bytes are not mixed up', async () => {
    const first = deferred<ServerResponse>()
    const kept = deferred()
    const upstream = await serve(({ url }, res) => {
      if (url === '/second') res.end('second'.repeat(100))
      else {
        res.write('first ')
        first.resolve(res)
      }
    })
    const proxy = passthroughProxy(upstream.url)
    const { url } = await serve((req, res) => {
      fronts['a middleware that keeps each chunk until the end']!(req, res, () => {})
      const keep = res.write.bind(res) as (chunk: Buffer) => boolean
      res.write = ((chunk: Buffer) => {
        kept.resolve()
        return keep(chunk)
      }) as never
      proxy(req, res, () => res.destroy())
    })
    const asking = asked(`${url}/first`)
    await kept.promise
    expect(await text(await asked(`${url}/second`))).to.equal('second'.repeat(100))
    ;(await first.promise).end('end')
    expect(await text(await asking)).to.equal('first end')
  })

  it('is not reused by the next response while the end of the last one waits', async () => {
    const upstream = await serve(({ url }, res) => res.end(url!.repeat(50_000)))
    const proxy = passthroughProxy(upstream.url, { maxConnections: 1 })
    const waiting: (() => void)[] = []
    const { url } = await serve((req, res) => {
      const { socket } = req
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
      const end = socket.end.bind(socket)
      if (req.url === '/first') {
        socket.write = (...args: unknown[]) => waiting.push(() => write(...args)) > 0
        socket.end = () => (waiting.push(end), socket)
      }
      proxy(req, res, (error) => res.destroy(error as Error))
    })
    const first = asked(`${url}/first`)
    await until(() => waiting.length > 0)
    // The other request goes over the same connection, once that has brought the first response.
    expect(await text(await asked(`${url}/other`))).to.equal('/other'.repeat(50_000))
    for (const step of waiting) step()
    expect(await text(await first)).to.equal('/first'.repeat(50_000))
    expect(upstream.connections).to.have.length(1)
  })

  for (const [framing, send] of Object.entries(framings)) {
    for (const [front, handler] of Object.entries(fronts)) {
      it(`is not reused while a slow client still needs it: ${framing}, behind ${front}`, async () => {
        const proxy = passthroughProxy((await serve(send as RequestListener)).url)
        const app: RequestListener = (req, res) =>
          handler(req, res, () => proxy(req, res, (error) => res.destroy(error as Error)))
        const { url } = await serve(app)
        expect((await readSlowly(await asked(url))).equals(BODY)).to.equal(true)
      })
    }

    it(`is not reused while a slow client still needs it: ${framing}, over TLS`, async () => {
      const proxy = passthroughProxy((await serve(send as RequestListener)).url)
      const server = https.createServer({ key, cert: certificate }, (req, res) =>
        proxy(req, res, (error) => res.destroy(error as Error)),
      )
      const { port } = await listen(server)
      expect((await readSlowly(await asked(`https://localhost:${port}`))).equals(BODY)).to.equal(true)
    })

    it(`is not reused while a slow client still needs it: ${framing}, over HTTP/2`, async () => {
      const proxy = passthroughProxy((await serve(send as RequestListener)).url)
      const server = http2.createServer((req, res) =>
        proxy(req as never, res as never, (error) => res.stream.destroy(error as Error)),
      )
      const { port } = await listen(server as unknown as Server)
      expect((await readSlowly(await askedOverHttp2(`http://localhost:${port}`))).equals(BODY)).to.equal(true)
    })
  }

  it('is not reused if a tracer keeps the chunks that it sees', async () => {
    for (const owner of ['http.OutgoingMessage', 'net.Socket']) {
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', tracer(owner)], {
        cwd: root,
      })
      expect(stdout, owner).to.equal('true')
    }
  })

  it('goes through write to its last byte if that is the only method that the application replaces', async () => {
    const proxy = passthroughProxy((await serve((_req, res) => res.end('small'))).url)
    const { url } = await serve((req, res) => {
      const write = res.write.bind(res) as (chunk: string) => boolean
      res.write = ((chunk: Buffer) => write(chunk.toString().toUpperCase())) as never
      proxy(req, res, (error) => res.destroy(error as Error))
    })
    expect(await (await fetch(url)).text()).to.equal('SMALL')
  })
})

const run = promisify(execFile)

/** A program whose tracer was installed before this package, and keeps the chunks that go to clients. */
const tracer = (owner: string): string => `
  import http from 'node:http'
  import net from 'node:net'
  const kept = []
  const { write } = ${owner}.prototype
  ${owner}.prototype.write = function (chunk, ...rest) {
    if ((this.socket ?? this).isClients && Buffer.isBuffer(chunk)) kept.push(chunk)
    return write.call(this, chunk, ...rest)
  }
  const { passthroughProxy } = await import('sluiceway')
  const body = Buffer.alloc(3e6, 'abcdefghijklmnopqrstuvwxyz0')
  const upstream = http.createServer((req, res) => res.setHeader('Content-Length', body.length).end(body))
  await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const proxy = passthroughProxy('http://127.0.0.1:' + upstream.address().port)
  const server = http.createServer((req, res) => proxy(req, res, console.error))
  server.on('connection', (socket) => (socket.isClients = true))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  await (await fetch('http://127.0.0.1:' + server.address().port)).arrayBuffer()
  process.stdout.write(String(Buffer.concat(kept).equals(body)), () => process.exit())
`
