import type { IncomingMessage } from 'node:http'
import { pipeline, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as later } from 'node:timers/promises'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** Ways to hear the error of a refused body; each then calls `answer`. */
const ways: Record<string, (req: IncomingMessage, answer: () => void) => void> = {
  "an 'error' listener": (req, answer) => void req.on('data', () => {}).on('error', answer),
  'a promise': (req, answer) => void buffer(req).catch(answer),
  pipeline: (req, answer) => void pipeline(req, sink(), answer),
  'the destination of pipe()': (req, answer) => void req.pipe(sink()).on('error', answer),
  'reading after a while': (req, answer) => void later(30).then(() => req.resume().on('error', answer)),
}

function sink(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, past the limit`, () => {
    afterEach(closeServers)

    async function statusOf(...handlers: readonly Handler[]): Promise<number> {
      const { port } = await serve(mount(...handlers))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('0123456789x'))
      const { status } = await client.response()
      client.destroy()
      return status
    }

    for (const [way, hear] of Object.entries(ways)) {
      it(`gives a handler that gets the error by ${way} time to answer`, async () => {
        const answering: Handler = (req, res) => {
          hear(req, () => void later(30).then(() => res.writeHead(422).end()))
        }
        expect(await statusOf(maxBytes(10), answering)).to.equal(422)
      })
    }

    for (const event of ['error', 'close']) {
      for (const [how, middlewares] of Object.entries({
        maxBytes: [maxBytes(10)],
        'maxBytes and bodyCache': [maxBytes(10), bodyCache()],
      })) {
        it(`tells a reader that begins in the '${event}' listener of another one, behind ${how}`, async () => {
          const answering: Handler = (req, res) => {
            req
              .on('data', () => {})
              .once('error', () => {})
              .once(event, () => {
                req.on('data', () => {}).on('error', () => res.writeHead(422).end())
              })
          }
          expect(await statusOf(...middlewares, answering)).to.equal(422)
        })
      }
    }

    it('tells a reader nothing twice that listens anew for errors', async () => {
      const heard: string[] = []
      const answering: Handler = (req, res) => {
        req
          .on('data', () => {})
          .on('error', () => {
            heard.push('first')
            req.on('error', () => heard.push('second'))
            setTimeout(() => res.writeHead(422).end(), 30)
          })
      }
      expect(await statusOf(maxBytes(10), answering)).to.equal(422)
      expect(heard).to.deep.equal(['first'])
    })

    it('gives a handler that reads the cached body time to answer', async () => {
      const answering: Handler = (req, res) => {
        req.bodyCache.buffer().catch(() => later(30).then(() => res.writeHead(422).end()))
      }
      expect(await statusOf(bodyCache(), maxBytes(10), answering)).to.equal(422)
    })

    for (const [who, read] of [
      ["a 'data' listener", (req: IncomingMessage) => void req.on('data', () => {})],
      ["a 'readable' listener", (req: IncomingMessage) => void req.on('readable', () => req.read())],
      ['a bare pipe()', (req: IncomingMessage) => void req.pipe(sink())],
    ] as const) {
      it(`answers at once if the only reader is ${who}, which gets no error`, async () => {
        const reading: Handler = (req) => read(req)
        expect(await statusOf(maxBytes({ limit: 10, lingerMs: 60_000 }), reading)).to.equal(413)
      })
    }
  })
}
