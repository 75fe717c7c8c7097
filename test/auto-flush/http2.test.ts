import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { createGunzip } from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import { autoFlush, type Middleware } from 'sluiceway'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { severalBeats } from './event-streams.js'

const bare = hosts.find(({ name }) => name === 'bare http')!

type Http2Listener = (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) => void

const orders = {
  'before compression': () => [autoFlush({ sync: true, heartbeatMs: 10 }), compression()],
  'after compression': () => [compression(), autoFlush({ sync: true, heartbeatMs: 10 })],
}

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('over HTTP/2', () => {
    for (const [order, mounted] of Object.entries(orders)) {
      it(`delivers each event before the next is sent, and heartbeats: mounted ${order}`, async () => {
        const opened = deferred<ServerResponse>()
        const listener = bare.mount(...(mounted() as Handler[]), (_req, res) => {
          res.setHeader('Content-Type', 'text/event-stream')
          res.write('data: 0\n\n')
          opened.resolve(res)
        })
        const server = http2.createServer(listener as unknown as Http2Listener)
        const { port } = await listen(server)
        const session = http2.connect(`http://127.0.0.1:${port}`)
        const stream = session.request({ ':path': '/', 'accept-encoding': 'gzip' })
        const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
        expect(head).to.include({ 'content-encoding': 'gzip', 'x-accel-buffering': 'no' })
        const decoded = stream.pipe(createGunzip()).setEncoding('utf8')
        let text = ''
        decoded.on('data', (piece: string) => (text += piece))
        const received = async (part: string): Promise<void> => {
          while (!text.includes(part)) await once(decoded, 'data')
        }
        const res = await opened.promise
        for (let n = 0; n < 3; n++) {
          await received(`data: ${n}\n\n`)
          res.write(`data: ${n + 1}\n\n`)
        }
        await received(':\n\n')
        res.end()
        await once(decoded, 'end')
        session.close()
      })
    }

    it('writes no heartbeats for a client that does not read, and goes on when it does', async () => {
      const { res, stream } = await asked(autoFlush({ heartbeatMs: 20 }), (response) => {
        response.setHeader('Content-Type', 'text/event-stream')
        response.write(`data: ${'x'.repeat(300_000)}\n\n`)
      })
      await severalBeats()
      const waiting = res.stream.writableLength
      await severalBeats()
      expect(res.stream.writableLength).to.equal(waiting)
      let received = ''
      stream.setEncoding('utf8').on('data', (piece: string) => (received += piece))
      while (!received.endsWith('x\n\n:\n\n:\n\n')) await once(stream, 'data')
      stream.close()
    })

    it('writes no heartbeats once the stream itself was ended, while the client still sends its body', async () => {
      const heard: string[] = []
      const begin = (response: ServerResponse): void => {
        response.setHeader('Content-Type', 'text/event-stream')
        response.write('data: 0\n\n')
      }
      const { res, stream } = await asked(autoFlush({ heartbeatMs: 20 }), begin, { ':method': 'POST' })
      for (const event of ['end', 'error']) res.stream.on(event, () => heard.push(event))
      res.req.resume()
      res.stream.end()
      await once(stream.resume(), 'end')
      await severalBeats()
      stream.end('rest')
      await once(res.stream, 'close')
      expect(heard).to.deep.equal(['end'])
    })

    it('sync keeps corked writes of the handler back', async () => {
      const { res, stream } = await asked(autoFlush({ sync: true }), (response) => {
        response.writeHead(200)
        response.cork()
        response.write('corked')
      })
      expect(res.stream.writableCorked).to.equal(1)
      res.uncork()
      await once(stream, 'data')
      stream.close()
    })
  })

  type Exchange = { res: http2.Http2ServerResponse; stream: http2.ClientHttp2Stream }

  /** Asks a handler behind `flushing` over HTTP/2; the client does not read yet. */
  async function asked(
    flushing: Middleware,
    handler: (res: ServerResponse) => void,
    headers: http2.OutgoingHttpHeaders = {},
  ): Promise<Exchange> {
    const listener = bare.mount(flushing, (_req, res) => handler(res))
    const server = http2.createServer(listener as unknown as Http2Listener)
    const answered = once(server, 'request')
    const { port } = await listen(server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':path': '/', ...headers })
    stream.on('close', () => session.close())
    const [[, res]] = await Promise.all([answered, once(stream, 'response')])
    return { res: res as http2.Http2ServerResponse, stream }
  }
})
