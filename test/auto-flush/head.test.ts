import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import compression from 'compression'
import express, { type Response } from 'express'
import { autoFlush } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { standstill } from '../support/time/standstill.js'
import { turns } from '../support/time/turns.js'

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('after writeHead without a write', () => {
    for (const [order, mount] of Object.entries({
      'before compression': [autoFlush(), compression()],
      'after compression': [compression(), autoFlush()],
    })) {
      it(`delivers the head in the next turn, mounted ${order}`, async () => {
        const sent = deferred<number>()
        const app = express()
        app.use(...mount)
        app.get('/', (req, res) => {
          res.writeHead(200, { 'Content-Type': 'text/event-stream' })
          void turns(1).then(() => sent.resolve(req.socket.bytesWritten))
        })
        const { url } = await serve(app)
        const client = await StreamingClient.get(url, 'gzip')
        expect(await sent.promise).to.be.above(0)
        expect(client.response.headers['content-type']).to.equal('text/event-stream')
        client.leave()
      })
    }

    it('delivers the head on a bare server, and keeps repeated headers from an array', async () => {
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

  describe('with headers given to writeHead', () => {
    const headers = { 'Content-Type': 'text/plain', 'X-Name': 'value' }
    const list = Object.entries(headers).flat()

    for (const [form, args] of Object.entries({
      'with a reason': [200, 'Fine'],
      'with headers': [200, headers],
      'with a list': [200, list],
      'with pairs': [200, Object.entries(headers)],
      'with a reason and headers': [200, 'Fine', headers],
      'with a reason and a list': [200, 'Fine', list],
      'with a reason and pairs': [200, 'Fine', Object.entries(headers)],
      'with headers and no reason': [200, undefined, headers],
      'with headers and null': [200, null, headers],
      'with Content-Length for a value': [200, ['X-Name', 'Content-Length', ...list]],
    })) {
      it(`keeps reason and headers and adds its own: ${form}`, async () => {
        const [plain, flushed] = await heads((res) => headOf(res, args))
        const nosniff = plain!.includes('text/plain') ? 'X-Content-Type-Options: nosniff\r\n' : ''
        expect(flushed).to.equal(
          plain!.replace('Connection: keep', `X-Accel-Buffering: no\r\n${nosniff}Connection: keep`),
        )
      })
    }

    for (const [form, args] of Object.entries({
      'with headers': [200, { 'content-length': 2 }],
      'with a list': [200, ['X-Name', 'value', 'CONTENT-LENGTH', '2']],
      'with pairs': [200, [['Content-Length', '2']]],
      'with a reason and headers': [200, 'Fine', { 'Content-Length': 2 }],
      'that switches protocols': [101, { Connection: 'Upgrade', Upgrade: 'own' }],
    })) {
      it(`does not change the head of a whole answer: ${form}`, async () => {
        const [plain, flushed] = await heads((res) => headOf(res, args).write('ok'))
        expect(flushed).to.equal(plain)
      })
    }

    it('calls the filter once, even if the head is written twice or through other layers', async () => {
      let asked = 0
      const middleware = autoFlush({ filter: () => ++asked > 0 })
      const { url } = await serve((req, res) =>
        middleware(req, res, () => {
          for (let layer = 0; layer < 2; layer++) {
            const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => typeof res
            res.writeHead = function patched(...args: unknown[]) {
              return writeHead(...args)
            }
          }
          res.writeHead(200)
          expect(() => res.writeHead(200))
            .to.throw(Error)
            .with.property('code', 'ERR_HTTP_HEADERS_SENT')
          res.end()
        }),
      )
      await (await StreamingClient.get(url)).ended()
      expect(asked).to.equal(1)
    })
  })

  describe('before the head is written', () => {
    it('sends nothing, so that type and status can still change', async () => {
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

function headOf(res: ServerResponse, args: readonly unknown[]): ServerResponse {
  return (res.writeHead as (...given: readonly unknown[]) => ServerResponse).call(res, ...args)
}

/** The head of an answer without autoFlush, and with it. */
async function heads(answer: (res: ServerResponse) => unknown): Promise<string[]> {
  const undated = (res: ServerResponse): void => {
    res.sendDate = false
    answer(res)
    res.flushHeaders()
  }
  const seen: string[] = []
  for (const handler of [(_req: IncomingMessage, res: ServerResponse) => undated(res), bare(undated)]) {
    const client = await RawClient.connect((await serve(handler)).port)
    client.request('GET', '/')
    seen.push(await client.untilText('\r\n\r\n'))
    client.destroy()
  }
  return seen
}

function bare(answer: (res: ServerResponse) => void): (req: IncomingMessage, res: ServerResponse) => void {
  const middleware = autoFlush()
  return (req, res) => middleware(req, res, () => answer(res))
}
