import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import compression from 'compression'
import express, { type Response } from 'express'
import { autoFlush } from 'sluiceway'
import { RawClient } from '../support/raw-client.js'
import { closeServers, serve } from '../support/servers.js'
import { standstill } from './standstill.js'
import { StreamingClient } from './streaming-client.js'

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('after writeHead and silence', () => {
    for (const [order, mount] of Object.entries({
      'before compression': [autoFlush(), compression()],
      'after compression': [compression(), autoFlush()],
    })) {
      it(`delivers the head within 50 ms, mounted ${order}`, async () => {
        let written = 0
        const app = express()
        app.use(...mount)
        app.get('/', (_req, res) => {
          res.writeHead(200, { 'Content-Type': 'text/event-stream' })
          written = performance.now()
        })
        const { url } = await serve(app)
        const client = await StreamingClient.get(url, 'gzip')
        expect(performance.now() - written).to.be.below(50)
        expect(client.response.headers['content-type']).to.equal('text/event-stream')
        client.leave()
      })
    }

    it('delivers the head of a bare server, and keeps repeated headers of a list', async () => {
      const { port } = await serve(
        bare((res) =>
          res.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Type', 'text/event-stream']),
        ),
      )
      const client = await RawClient.connect(port)
      client.request('GET', '/')
      const head = await client.untilText('\r\n\r\n')
      expect(head).to.include('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n')
      expect(head).to.include('X-Accel-Buffering: no\r\n')
      client.destroy()
    })
  })

  describe('before the head is written', () => {
    it('sends nothing, so that the type and status can still change', async () => {
      const app = express()
      app.use(autoFlush(), compression())
      const handled = new Promise<Response>((resolve) => {
        app.get('/', (_req, res) => {
          res.status(200).set('Cache-Control', 'no-cache')
          res.flush()
          resolve(res)
        })
      })
      const { url } = await serve(app)
      const answered = StreamingClient.get(url, 'gzip')
      const res = await handled
      await standstill(url, () => res.socket?.bytesWritten ?? 0)
      expect(res.headersSent).to.equal(false)
      res.status(202).type('text/plain').write('typed')
      const client = await answered
      expect(client.response.statusCode).to.equal(202)
      await client.received('typed')
      client.leave()
    })
  })
})

function bare(answer: (res: ServerResponse) => void): (req: IncomingMessage, res: ServerResponse) => void {
  const middleware = autoFlush()
  return (req, res) => middleware(req, res, () => answer(res))
}
