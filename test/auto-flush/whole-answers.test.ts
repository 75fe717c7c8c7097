import { expect } from 'chai'
import compression from 'compression'
import type { Express, RequestHandler } from 'express'
import { autoFlush } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'

const long = 'whole answer '.repeat(500)

const answers: Record<string, { method?: string; handler: RequestHandler }> = {
  json: { handler: (_req, res) => void res.json({ some: 'json' }) },
  'long json': { handler: (_req, res) => void res.json({ long }) },
  send: { handler: (_req, res) => void res.send('sent') },
  'long send': { handler: (_req, res) => void res.send(long) },
  render: { handler: (_req, res) => res.render('view') },
  redirect: { handler: (_req, res) => res.redirect('/elsewhere') },
  'end with a text': { handler: (_req, res) => void res.end('ended') },
  'end with nothing': { handler: (_req, res) => void res.end() },
  'writeHead with Content-Length': {
    handler: (_req, res) => void res.writeHead(200, { 'Content-Length': 2 }).end('ok'),
  },
  'writeHead with a list': {
    handler: (_req, res) =>
      void res.writeHead(200, ['Content-Length', '2', 'Set-Cookie', 'a', 'Set-Cookie', 'b']).end('ok'),
  },
  'a write under Content-Length': {
    handler: (_req, res) => {
      res.type('txt').set('Content-Length', String(long.length)).write(long.slice(0, 10))
      res.end(long.slice(10))
    },
  },
  sendFile: { handler: (_req, res) => res.sendFile(new URL(import.meta.url).pathname) },
  HEAD: { method: 'HEAD', handler: (_req, res) => void res.send(long) },
  'HEAD of a stream': {
    method: 'HEAD',
    handler: (_req, res) => {
      res.type('txt').write('not sent')
      res.end()
    },
  },
  '204': { handler: (_req, res) => void res.status(204).end() },
  '304': { handler: (_req, res) => void res.status(304).end() },
}

const mounts: Record<string, (flush: RequestHandler[]) => RequestHandler[]> = {
  alone: (flush) => flush,
  'before compression': (flush) => [...flush, compression()],
  'after compression': (flush) => [compression(), ...flush],
}

describe('autoFlush', () => {
  afterEach(closeServers)

  for (const { name, express } of expressVersions) {
    for (const [mount, mounted] of Object.entries(mounts)) {
      describe(`on whole answers of ${name}, mounted ${mount}`, () => {
        for (const [answer, { method = 'GET', handler }] of Object.entries(answers)) {
          // `compression` tells nobody that its `end` makes the head: the answer gets one header more.
          if (mount !== 'alone' && answer.startsWith('end with')) continue
          it(`does not change a byte of ${answer}`, async () => {
            const plain = await answerOf(express(), mounted([passing]), method, handler)
            const flushed = await answerOf(express(), mounted([autoFlush()]), method, handler)
            expect(flushed.head).to.equal(plain.head)
            expect(flushed.body.equals(plain.body)).to.equal(true)
          })
        }
      })
    }
  }

  for (const { name, express } of expressVersions) {
    it(`adds one property to the request of a whole answer, and nothing to the response: ${name}`, async () => {
      const seen: { req: number; res: number; listeners: number }[] = []
      const looking: RequestHandler = (req, res) => {
        res.json({})
        const listeners = res.eventNames().reduce((sum, event) => sum + res.listenerCount(event), 0)
        seen.push({ req: Reflect.ownKeys(req).length, res: Reflect.ownKeys(res).length, listeners })
      }
      await answerOf(express(), [passing], 'GET', looking)
      await answerOf(express(), [autoFlush({ sync: true, heartbeatMs: 15_000 })], 'GET', looking)
      const [plain, flushed] = seen
      expect(flushed).to.deep.equal({ ...plain, req: plain!.req + 1 })
    })
  }

  it('marks a streamed response, which shows that the comparison can fail', async () => {
    const { express } = expressVersions[0]
    const { head } = await answerOf(express(), [autoFlush()], 'GET', (_req, res) => {
      res.type('text/plain').write('streamed')
      res.end()
    })
    expect(head).to.include('X-Accel-Buffering: no').and.to.include('X-Content-Type-Options: nosniff')
  })
})

const passing: RequestHandler = (_req, _res, next) => next()

async function answerOf(
  app: Express,
  mounted: RequestHandler[],
  method: string,
  handler: RequestHandler,
): Promise<{ head: string; body: Buffer }> {
  app.engine('test', (_path, _options, done) => done(null, long))
  app.set('view engine', 'test').set('view', TestView)
  app.use(...mounted, (_req, res, next) => {
    res.sendDate = false
    next()
  })
  app.all('/', handler)
  const { port } = await serve(app)
  const client = await RawClient.connect(port)
  client.request(method, '/', { 'Accept-Encoding': 'gzip', Connection: 'close' })
  const { head, body } = await client.response({ head: method === 'HEAD' })
  client.destroy()
  return { head, body }
}

/** A view that needs no file. */
class TestView {
  readonly path = 'view'
  render(_options: unknown, done: (error: Error | null, html: string) => void): void {
    done(null, long)
  }
}
