import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import compression from 'compression'
import type { Response } from 'express'
import { autoFlush } from 'sluiceway/auto-flush'
import { maxBytes } from 'sluiceway/max-bytes'
import { asChunk, RawClient, type RawResponse } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'

/** Reads until the error, ignores it, and answers as if all were well. */
function swallowing(answer: Handler): Handler {
  return (req, res, next) => {
    req.resume().on('error', () => setImmediate(() => answer(req, res, next)))
  }
}

async function refused(port: number): Promise<RawResponse> {
  const client = await RawClient.connect(port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('12345'))
  setImmediate(() => client.write(asChunk('67890x')))
  const response = await client.response()
  await client.closed()
  return response
}

const wrongAnswers: Record<string, Handler> = {
  'res.end() with 200': (_req, res) => res.end('half a file stored'),
  'res.write() with 201': (_req, res) => {
    res.statusCode = 201
    res.write('half a file')
    res.end(' stored')
  },
  'res.writeHead(302)': (_req, res) => res.writeHead(302, { Location: '/done' }).end(),
  'res.flushHeaders()': (_req, res) => {
    res.flushHeaders()
    res.end('half a file stored')
  },
  'a pipe into res': (_req, res) => Readable.from(['half a file', ' stored']).pipe(res),
  'a 500 for an error it does not know': (_req, res) => {
    res.writeHead(500, 'Went Wrong', { 'Content-Type': 'application/json' })
    res.end('{}')
  },
}

/** Ways to begin an answer, of which Node makes an exception if another answer was sent before. */
const lateHeads: Record<string, (res: ServerResponse) => unknown> = {
  'res.setHeader()': (res) => res.setHeader('Content-Type', 'application/json').end('{}'),
  'res.setHeaders()': (res) => res.setHeaders(new Map([['X-Late', 'yes']])).end(),
  'res.appendHeader()': (res) => res.appendHeader('Set-Cookie', 'late=yes').end(),
  'res.removeHeader()': (res) => {
    res.removeHeader('X-Powered-By')
    res.end()
  },
  'res.json(), if there is one': (res) => ('json' in res ? (res as Response).json({}) : res.end('{}')),
}

/** Returns what `run` throws. */
function outcomeOf(run: () => unknown): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, when a reader swallows the error`, () => {
    afterEach(closeServers)

    for (const [how, answer] of Object.entries(wrongAnswers)) {
      it(`answers 413 instead of ${how}`, async () => {
        const { port } = await serve(mount(maxBytes(10), swallowing(answer)))
        const { status, reason, headers, body } = await refused(port)
        expect([status, reason, headers['connection']]).to.deep.equal([413, 'Payload Too Large', ['close']])
        expect(body.toString()).to.equal('Payload Too Large')
      })
    }

    it('answers 413 instead of the error of a fetch that forwards the request', async () => {
      const upstream = await serve((req, res) => void buffer(req).then(() => res.end()))
      const sendOn: Handler = (req, res, next) => {
        fetch(upstream.url, { method: 'POST', body: req, duplex: 'half' } as unknown as RequestInit).then(
          () => res.end(),
          next,
        )
      }
      const { port } = await serve(mount(maxBytes(10), sendOn))
      expect((await refused(port)).status).to.equal(413)
    })

    it('answers 413 behind compression and autoFlush too', async () => {
      const handlers = [
        compression() as Handler,
        autoFlush(),
        maxBytes(10),
        swallowing((_req, res) => res.end('ok')),
      ]
      const { port } = await serve(mount(...handlers))
      const { status, body } = await refused(port)
      expect([status, body.toString()]).to.deep.equal([413, 'Payload Too Large'])
    })

    it('calls back a handler that waits until the replaced answer is written', async () => {
      const called: string[] = []
      const answer = swallowing((_req, res) => {
        res.write('half', 'utf8', () => called.push('write'))
        res.end(() => called.push('end'))
      })
      const { port } = await serve(mount(maxBytes(10), answer))
      expect((await refused(port)).status).to.equal(413)
      await until(() => called.length === 2)
    })

    for (const [how, begin] of Object.entries(lateHeads)) {
      it(`lets a handler that answers too late begin with ${how}`, async () => {
        const ended = deferred<unknown>()
        const late: Handler = (req, res) => {
          req.resume().on('error', () => {
            res.once('finish', () => setImmediate(() => ended.resolve(outcomeOf(() => begin(res)))))
          })
        }
        const { port } = await serve(mount(maxBytes({ limit: 10, lingerMs: 10 }), late))
        const { status, body } = await refused(port)
        expect([status, body.toString()]).to.deep.equal([413, 'Payload Too Large'])
        expect(await ended.promise).to.equal(undefined)
      })
    }

    for (const chosen of [400, 422, 503]) {
      it(`keeps the ${chosen} that the application chose`, async () => {
        const choose = swallowing((_req, res) => {
          res.statusCode = chosen
          res.end('too much for me')
        })
        const { port } = await serve(mount(maxBytes(10), choose))
        const { status, headers, body } = await refused(port)
        expect([status, headers['connection'], body.toString()]).to.deep.equal([
          chosen,
          ['close'],
          'too much for me',
        ])
      })
    }

    it('removes the headers that describe the replaced answer, and keeps the others', async () => {
      const kept = ['X-Request-Id', 'Content-Security-Policy', 'Content-Security-Policy-Report-Only']
      const answer = swallowing((_req, res) => {
        for (const line of ['Content-Language', 'Content-Encoding', 'ETag', 'Last-Modified', ...kept])
          res.setHeader(line, 'of the application')
        res.end('ok')
      })
      const { port } = await serve(mount(maxBytes(10), answer))
      const { headers } = await refused(port)
      for (const line of kept) expect(headers[line.toLowerCase()], line).to.deep.equal(['of the application'])
      expect(headers).not.to.have.any.keys('content-language', 'content-encoding', 'etag', 'last-modified')
      expect(headers['content-type']).to.deep.equal(['text/plain; charset=utf-8'])
    })

    it("never asks the handler to wait for 'drain' while it writes the replaced answer", async () => {
      const written: boolean[] = []
      const answer = swallowing((_req, res) => {
        for (let n = 0; n < 3; n++) written.push(res.write(Buffer.alloc(100_000)))
        res.end()
      })
      const { port } = await serve(mount(maxBytes(10), answer))
      expect((await refused(port)).status).to.equal(413)
      expect(written).to.deep.equal([true, true, true])
    })
  })
}
