import { once } from 'node:events'
import { createServer, request, ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import compression from 'compression'
import type { RequestHandler } from 'express'
import { attach, autoFlush, bodyCache, maxBytes } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, listen } from '../support/servers/servers.js'

type Begin = (res: ServerResponse) => unknown

const BEGINNINGS: readonly [string, Begin][] = [
  ['res.flushHeaders()', (res) => res.flushHeaders()],
  ['a first write', (res) => res.write('')],
  ['a first write after res.writeHead()', (res) => res.writeHead(200).write('begun')],
  ['res.flushHeaders() on a corked response', (res) => (res.cork(), res.flushHeaders(), res.uncork())],
]

/** A head that Node holds back until the handler sends a body. */
const WRITTEN_HEAD: [string, Begin] = ['res.writeHead()', (res) => res.writeHead(200)]

const EXPECTING = 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n'

const BEFORE: readonly [string, () => RequestHandler[]][] = [
  ['', () => []],
  [', behind compression', () => [compression({ threshold: 0 })]],
  [', behind autoFlush', () => [autoFlush()]],
  [', behind bodyCache and maxBytes', () => [bodyCache(), maxBytes('1mb')]],
]

for (const { name, express } of expressVersions) {
  describe(`attach with Expect: 100-continue, responses that begin before the body is read (${name})`, () => {
    afterEach(closeServers)

    async function serve(...handlers: readonly RequestHandler[]): Promise<number> {
      const app = express().use(...handlers)
      const server = createServer(app)
      // A connection that closes has been closed on purpose.
      server.keepAliveTimeout = 60_000
      attach(server, app)
      return (await listen(server)).port
    }

    /** Sends the head of a request whose body waits for the 100. */
    async function ask(handler: RequestHandler): Promise<RawClient> {
      const client = await RawClient.connect(await serve(handler))
      client.write(EXPECTING)
      return client
    }

    for (const [how, begin] of BEGINNINGS) {
      for (const [where, before] of BEFORE) {
        it(`invites the body before the head that is sent by ${how}${where}`, async () => {
          const port = await serve(...before(), (req, res, next) => {
            res.setHeader('Content-Type', 'text/plain')
            begin(res)
            setImmediate(() => {
              buffer(req).then((body) => res.end(body), next)
            })
          })
          const client = request({ port, method: 'POST', headers: { Expect: '100-continue' } })
          client.on('continue', () => client.end('body')).flushHeaders()
          const [response] = await once(client, 'response')
          expect(response.statusCode).to.equal(200)
          expect(String(await buffer(response))).to.match(/body$/)
        })
      }
    }

    for (const [how, begin] of [...BEGINNINGS, WRITTEN_HEAD]) {
      it(`sends the bytes of bare Node for a response that waits for its turn, and begins by ${how}`, async () => {
        const answerTo = async (isAttached: boolean): Promise<string> => {
          const app = express().use((req, res) => {
            if (req.method === 'GET') return setImmediate(() => res.end(req.url))
            begin(res)
            return req.pipe(res)
          })
          const server = createServer(app)
          if (isAttached) attach(server, app)
          const client = await RawClient.connect((await listen(server)).port)
          client.write(
            'GET /first HTTP/1.1\r\nHost: test\r\n\r\n',
            'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody',
            'GET /last HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n',
          )
          await client.closed()
          return String(client.pending).replaceAll(/Date: .*\r\n/g, '')
        }
        expect(await answerTo(true)).to.equal(await answerTo(false))
      })
    }

    it('keeps the connection of a client whose body nobody reads, as bare Node does', async () => {
      const port = await serve((req, res) => {
        res.flushHeaders()
        res.end(req.url)
      })
      const client = await RawClient.connect(port)
      client.write('POST /first HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
      expect(await client.untilText('\r\n\r\n')).to.equal('HTTP/1.1 100 Continue\r\n\r\n')
      client.write('body')
      expect(String((await client.response()).body)).to.equal('/first')
      client.request('GET', '/second')
      expect(String((await client.response()).body)).to.equal('/second')
    })

    const UNREAD: readonly [string, Begin][] = [
      ['res.writeHead()', (res) => res.writeHead(200)],
      ['res.writeHead() with headers', (res) => res.writeHead(200, { 'Content-Length': 2 })],
      ['res.writeHead() with Connection', (res) => res.writeHead(200, { connection: 'keep-alive' })],
      ['a Connection that promises to keep it', (res) => res.setHeader('connection', 'keep-alive')],
      ['a promise beside an upgrade', (res) => res.setHeader('Connection', ['Keep-Alive', 'Upgrade'])],
      [
        'a head with one beside an upgrade',
        (res) => res.writeHead(200, { connection: 'Upgrade, keep-alive' }),
      ],
      [
        'a headersSent of a framework that is true before the head is written',
        (res) => Object.defineProperty(res, 'headersSent', { value: true }),
      ],
      ["Node's own end", (res) => ServerResponse.prototype.end.call(res, 'ok', 'utf8')],
      ['the deletion of res.end', (res) => Reflect.deleteProperty(res, 'end')],
      ['res.writeHead() without Connection', (res) => (res.removeHeader('Connection'), res.writeHead(200))],
      ['its end', () => {}],
    ]
    const ANNOUNCED: Readonly<Record<string, readonly string[]>> = {
      'res.writeHead() without Connection': [],
      'a promise beside an upgrade': ['Connection: close,Upgrade'],
      'a head with one beside an upgrade': ['Connection: Upgrade, close'],
    }
    for (const [how, begin] of UNREAD) {
      it(`neither invites nor expects a body that is unread when a response ends that begins by ${how}`, async () => {
        const client = await ask((req, res) => {
          begin(res)
          setImmediate(() => res.writableEnded || res.end('ok'))
        })
        const { status, head, body } = await client.response()
        expect([status, String(body)]).to.deep.equal([200, 'ok'])
        const announced = head.split('\r\n').filter((line) => /^(?:connection|keep-alive):/i.test(line))
        expect(announced).to.deep.equal(ANNOUNCED[how] ?? ['Connection: close'])
        await client.closed()
      })
    }

    const UNINVITED: readonly [string, Begin][] = [
      ["Node's own write", (res) => ServerResponse.prototype.write.call(res, 'begun', 'utf8')],
      ["Node's own flushHeaders", (res) => ServerResponse.prototype.flushHeaders.call(res)],
      ["Node's own end", (res) => ServerResponse.prototype.end.call(res, 'ok', 'utf8')],
      [
        "res.writeHead() and Node's own end",
        (res) => ServerResponse.prototype.end.call(res.writeHead(200), 'ok', 'utf8'),
      ],
      [
        'another status after res.writeHead()',
        (res) => Object.assign(res.writeHead(200), { statusCode: 500 }).write('begun'),
      ],
    ]
    for (const [how, begin] of UNINVITED) {
      it(`closes the connection after a response without a 100 that is sent by ${how}`, async () => {
        const client = await ask((_req, res) => {
          begin(res)
          if (!res.writableEnded) res.end()
        })
        expect((await client.response()).status).to.equal(200)
        await client.closed()
      })
    }

    it('leaves the offer of an upgrade in the head', async () => {
      const client = await ask((_req, res) => {
        res.setHeader('Connection', 'Upgrade').setHeader('Upgrade', 'other').end()
      })
      expect((await client.response()).head).to.include('Connection: Upgrade\r\nUpgrade: other')
      await client.closed()
    })

    it('keeps the connection of a client whose body the application itself has invited, and nobody reads', async () => {
      const port = await serve((req, res) => {
        if (req.method === 'POST') res.writeContinue()
        res.end(req.url)
      })
      const client = await RawClient.connect(port)
      client.write('POST /first HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
      await client.untilText('100 Continue\r\n\r\n')
      client.write('body')
      expect(String((await client.response()).body)).to.equal('/first')
      client.request('GET', '/second')
      expect(String((await client.response()).body)).to.equal('/second')
    })

    it('keeps it after a refusal that was sent before the application reads the body that it has invited', async () => {
      const client = await ask((req, res) => {
        if (req.method === 'GET') return res.end('next')
        res.writeContinue()
        res.status(400).flushHeaders()
        return req.on('data', () => {}).on('end', () => res.end('refused'))
      })
      await client.untilText('100 Continue\r\n\r\n')
      client.write('body')
      expect((await client.response()).status).to.equal(400)
      client.request('GET', '/')
      expect(String((await client.response()).body)).to.equal('next')
    })

    it('closes the connection after a head without a 100 whose body is then read', async () => {
      const client = await ask((req, res) => {
        ServerResponse.prototype.write.call(res, 'begun', 'utf8')
        req.resume()
        req.on('data', () => {})
        setImmediate(() => res.end())
      })
      expect((await client.response()).status).to.equal(200)
      await client.closed()
    })

    it('keeps the connection of a client whose body was invited and has not arrived when the response ends', async () => {
      const client = await ask((req, res) => {
        if (req.method === 'GET') res.end('next')
        else req.once('data', () => res.end('begun'))
      })
      await client.untilText('100 Continue\r\n\r\n')
      client.write('bo')
      expect((await client.response()).head).to.include('Connection: keep-alive')
      client.write('dy')
      client.request('GET', '/')
      expect(String((await client.response()).body)).to.equal('next')
    })

    it('keeps each byte of the head', async () => {
      const client = await ask((req, res) => {
        res.setHeader('X-Name', 'caf\u00E9')
        res.flushHeaders()
        req.pipe(res)
      })
      await client.untilText('100 Continue\r\n\r\n')
      client.write('body')
      expect((await client.response()).head).to.include('X-Name: caf\u00E9\r\n')
    })

    for (const [how, begin] of BEGINNINGS.slice(0, 2)) {
      it(`does not invite the body of a refused request whose response begins by ${how}`, async () => {
        const client = await ask((req, res) => {
          res.status(401)
          begin(res)
          req.on('data', () => {})
          setImmediate(() => res.end('refused'))
        })
        const response = await client.response()
        expect([response.status, String(response.body)]).to.deep.equal([401, 'refused'])
        await client.closed()
      })
    }
  })
}
