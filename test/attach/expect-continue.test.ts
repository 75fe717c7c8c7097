import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../support/servers/servers.js'

async function writeEach(req: IncomingMessage, res: ServerResponse): Promise<void> {
  for await (const chunk of req) res.write(chunk)
  res.end()
}

/** Ways to wait for the end of a body that is discarded. */
const waits: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  "on('end')": (req) => new Promise<void>((resolve) => void req.on('end', resolve)),
  "once(req, 'close')": (req) => once(req, 'close'),
  "on('end') later": async (req) => {
    await nextTurn()
    await new Promise<void>((resolve) => void req.on('end', resolve))
  },
  "once(req, 'close') later": (req) => nextTurn().then(() => once(req, 'close')),
  'finished(req) later': (req) => nextTurn().then(() => finished(req)),
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`attach with Expect: 100-continue (${name})`, () => {
    afterEach(closeServers)

    type App = ReturnType<typeof express>

    /** Sends the head alone, and waits for what comes back. */
    async function ask(app: App, length = 4, type = 'text/plain'): Promise<RawClient> {
      const server = createServer(app)
      attach(server, app)
      const client = await RawClient.connect((await listen(server)).port)
      client.write(
        `POST / HTTP/1.1\r\nHost: test\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`,
      )
      return client
    }

    for (const [how, read] of [
      [
        "on('data')",
        (app: App) =>
          app.use((req, res) => {
            req.on('data', (chunk) => res.end(chunk))
          }),
      ],
      [
        "on('readable')",
        (app: App) =>
          app.use((req, res) => {
            req.on('readable', () => {
              const chunk = req.read()
              if (chunk) res.end(chunk)
            })
          }),
      ],
      [
        'pipe',
        (app: App) =>
          app.use((req, res) => {
            req.pipe(res)
          }),
      ],
      [
        'for await',
        (app: App) =>
          app.use((req, res, next) => {
            writeEach(req, res).then(undefined, next)
          }),
      ],
      [
        'stream/consumers',
        (app: App) =>
          app.use((req, res, next) => {
            buffer(req).then(res.end.bind(res), next)
          }),
      ],
      [
        'express.text',
        (app: App) =>
          app.use(express.text(), (req, res) => {
            res.end(req.body)
          }),
      ],
      [
        'req.read(), again and again',
        (app: App) =>
          app.use((req, res) => {
            const poll = (): void => {
              const chunk = req.read()
              if (chunk) res.end(chunk)
              else if (!res.closed) setImmediate(poll)
            }
            poll()
          }),
      ],
      [
        'a reader that waits a while',
        (app: App) =>
          app.use((req, res) => {
            setImmediate(() => req.pipe(res))
          }),
      ],
    ] as [string, (app: App) => unknown][]) {
      it(`invites the body when a reader begins by ${how}`, async () => {
        const app = express()
        read(app)
        const client = await ask(app)
        expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
        client.write('body')
        const response = await client.response()
        expect(response.status).to.equal(200)
        expect(response.body.toString()).to.equal('body')
      })
    }

    it('invites the body when the proxy has a connection to send it on, and keeps the connection of the client for the next request', async () => {
      const upstream = await scriptedUpstream()
      const client = await ask(express().use(passthroughProxy(upstream.url)))
      const connection = await upstream.connection()
      expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
      client.write('body')
      expect(await connection.untilText('body')).not.to.match(/expect/i)
      connection.write(answer())
      expect((await client.response()).body.toString()).to.equal('ok')
      client.request('GET', '/next')
      await connection.untilText('GET /next')
    })

    for (const [what, status, app] of [
      ['404 from the app', 404, () => express()],
      [
        '401 from a handler',
        401,
        () =>
          express().use((_req, res) => {
            res.sendStatus(401)
          }),
      ],
      [
        'a 500',
        500,
        () =>
          express().use(() => {
            throw new Error('oops')
          }),
      ],
      ['502 from the proxy', 502, () => express().use(passthroughProxy('http://nowhere.invalid'))],
      ['413 for its Content-Length', 413, () => express().use(express.text({ limit: 3 }))],
      [
        '413 from a middleware',
        413,
        () =>
          express().use((_req, _res, next) => {
            next(Object.assign(new Error('big'), { status: 413 }))
          }),
      ],
    ] as [string, number, () => App][]) {
      it(`answers ${what} at once, without an invitation, and ends the connection`, async () => {
        const client = await ask(app())
        const response = await client.response()
        expect(response.status).to.equal(status)
        expect(response.headers['connection']).to.deep.equal(['close'])
        await client.closed()
        expect(client.pending.length).to.equal(0)
      })
    }

    it('accepts a body that the client sends without waiting for the invitation', async () => {
      const app = express().use(express.text(), (req, res) => {
        res.end(req.body)
      })
      const client = await ask(app)
      client.write('body')
      await client.untilText(CONTINUE)
      expect((await client.response()).body.toString()).to.equal('body')
    })

    for (const [what, before] of [
      ['', []],
      [', behind autoFlush', [autoFlush()]],
    ] as [string, RequestHandler[]][]) {
      for (const later of [false, true]) {
        it(`invites the body before a head that is written first${later ? ', and read later' : ''}${what}`, async () => {
          const app = express().use(...before, (req, res) => {
            res.writeHead(200, { 'Content-Type': 'text/css' })
            if (later) setTimeout(() => req.pipe(res), 20)
            else req.pipe(res)
          })
          const client = await ask(app)
          expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
          client.write('body')
          const response = await client.response()
          expect([response.status, String(response.body)]).to.deep.equal([200, 'body'])
        })
      }
    }

    for (const isWritten of [false, true]) {
      it(`invites the body although the response is corked${isWritten ? ', and its head written' : ''}`, async () => {
        const app = express().use((req, res) => {
          res.cork()
          if (isWritten) res.writeHead(200)
          req.on('data', (chunk) => res.end(chunk))
        })
        const client = await ask(app)
        expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
        client.write('body')
        const response = await client.response()
        expect([response.status, String(response.body)]).to.deep.equal([200, 'body'])
      })
    }

    for (const [how, read] of [
      ["on('data')", (req, res) => void req.on('data', (chunk) => res.end(chunk))],
      ["on('readable')", (req, res) => void req.once('readable', () => res.end(req.read()))],
    ] as [string, RequestListener][]) {
      it(`invites the body for a reader that begins by ${how} after the body seemed unwanted`, async () => {
        const app = express().use((req, res) => {
          req.resume()
          setImmediate(() => read(req, res))
        })
        const client = await ask(app)
        expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
        client.write('body')
        expect((await client.response()).body.toString()).to.equal('body')
      })
    }

    for (const [what, before] of [
      ['', []],
      [', behind bodyCache', [bodyCache()]],
      [', behind maxBytes', [maxBytes('1mb')]],
    ] as [string, RequestHandler[]][]) {
      for (const [how, wait] of Object.entries(waits)) {
        it(`invites a body that is discarded by a handler that waits for its end by ${how}${what}`, async () => {
          const app = express().use(...before, (req, res) => {
            req.resume()
            void wait(req).then(() => res.end('ended'))
          })
          const client = await ask(app)
          expect(await client.untilText('\r\n\r\n')).to.equal(CONTINUE)
          client.write('body')
          expect((await client.response()).body.toString()).to.equal('ended')
        })
      }
    }

    it('leaves requests without Expect alone', async () => {
      const app = express().use(express.text(), (req, res) => {
        res.end(req.body)
      })
      const server = createServer(app)
      attach(server, app)
      const client = await RawClient.connect((await listen(server)).port)
      client.request('POST', '/', { 'Content-Type': 'text/plain' }, 'body')
      expect((await client.response()).body.toString()).to.equal('body')
    })
  })
}
