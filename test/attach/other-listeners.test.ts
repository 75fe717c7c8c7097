import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { listen } from '../support/servers/servers.js'
import { certificate, key } from '../support/servers/tls-certificate.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'
import {
  answered,
  answersTo,
  apps,
  choosing,
  closeAll,
  expectOwn404,
  HANDSHAKE,
  open,
  others,
  own,
  type Step,
  type UpgradeListener,
} from './neighbors.js'

/** The same, after a while, as behind a login. */
const ownLater: Step = (req, res, next) => void setImmediate(() => own(req, res, next))

/** Those that answer with pages of their own. */
const PAGES = new Set(['Express 5', 'Express 4', 'connect'])

const failing: Step = (_req, _res, next) => next(Object.assign(new Error('not today'), { status: 418 }))

describe('attach beside other listeners for upgrades', () => {
  afterEach(closeAll)

  for (const [name, chain] of Object.entries(apps)) {
    for (const [other, add] of Object.entries(others)) {
      for (const [when, step] of [
        ['', own],
        [', which takes its time', ownLater],
      ] as const) {
        it(`gives each its own, in either order: ${name}${when}, and ${other}`, async () => {
          for (const order of ['attach first', 'attach last', 'added later']) {
            const app = chain(step)
            const server = createServer(app)
            if (order === 'attach last') add(server)
            attach(server, app)
            if (order === 'attach first') add(server)
            const { port } = await listen(server)
            if (order === 'added later') add(server)
            expect(await answersTo(port, ['/app', '/other']), order).to.deep.equal(['app', 'ws'])
          }
        })
      }
    }

    it(`has an error answered by the app, and not by another listener: ${name}`, async () => {
      let calls = 0
      const app = chain((req, res, next) => {
        calls++
        failing(req, res, next)
      })
      const client = await open(app, [others['ws with { server }']!])
      client.write(upgradeTo('websocket', '/other', ...HANDSHAKE))
      const { status, headers, body } = await client.response()
      expect(status).to.equal(418)
      expect(headers['content-type']?.[0]).to.equal(
        `text/${PAGES.has(name) ? 'html' : 'plain'}; charset=utf-8`,
      )
      expect(body.toString()).to.match(PAGES.has(name) ? /<pre>Error: not today/ : /^I'm a Teapot$/)
      expect(calls).to.equal(1)
      await client.closed()
    })

    it(`has the app's own 404 if all of them ignore an upgrade: ${name}`, async () => {
      const body = await expectOwn404(chain(own))
      expect(body).to.match(PAGES.has(name) ? /Cannot GET \/none/ : /^Not Found$/)
    })
  }

  const chain = apps['Express 5']!

  it('leaves the refusal of a path that neither knows to ws, once', async () => {
    const client = await open(chain(own), [others['ws with { server, path }']!])
    expect(await answered(client, '/none')).to.equal('400')
    await client.closed()
  })

  for (const [how, answer] of Object.entries<(socket: Duplex) => void>({
    writes: (socket) => void socket.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'),
    'cuts the connection': (socket) => void socket.destroy(),
  })) {
    it(`calls no other behind a listener that ${how}`, async () => {
      const told = deferred()
      let rest = 0
      const client = await open(chain(own), [
        (server) =>
          void server
            .on('upgrade', (_req: IncomingMessage, socket: Duplex) => {
              answer(socket)
              told.resolve()
            })
            .on('upgrade', (_req: IncomingMessage, _socket: Duplex) => rest++),
      ])
      client.write(upgradeTo('websocket', '/other'))
      await told.promise
      await turns()
      expect(rest).to.equal(0)
      client.destroy()
    })
  }

  it('leaves one to a listener that is called once', async () => {
    const calledOnce = (server: Server): void => {
      others['ws with { server }']!(server)
      const [listener] = server.listeners('upgrade').slice(-1)
      server.off('upgrade', listener as UpgradeListener).once('upgrade', listener as UpgradeListener)
    }
    const client = await open(chain(own), [calledOnce])
    expect(await answered(client, '/app')).to.equal('app')
    client.destroy()
    const other = await open(chain(own), [calledOnce])
    expect(await answered(other, '/other')).to.equal('ws')
    other.destroy()
  })

  it('leaves an upgrade to the first of the others that answers it', async () => {
    const client = await open(chain(own), [choosing('/own-path'), others['ws with { server, path }']!])
    expect(await answered(client, '/own-path')).to.equal('ws')
    client.destroy()
  })

  it('keeps the listeners from an upgrade that the app has answered', async () => {
    let told = 0
    const app = chain((_req, res) => void res.writeHead(401).end())
    const client = await open(app, [
      (server) => void server.on('upgrade', (_req: IncomingMessage, _socket: Duplex) => told++),
    ])
    expect(await answered(client, '/other')).to.equal('401')
    await client.closed()
    expect(told).to.equal(0)
  })

  for (const [name, create] of Object.entries<(app: Parameters<typeof attach>[1]) => Server>({
    'an https.Server': (app) => https.createServer({ key, cert: certificate }, app),
    'the HTTP/1.1 half of an HTTP/2 server': (app) =>
      http2.createSecureServer(
        { allowHTTP1: true, key, cert: certificate },
        app as never,
      ) as unknown as Server,
  })) {
    it(`gives each its own on ${name}`, async () => {
      const app = chain(own)
      const server = create(app)
      others['ws with { server, path }']!(server)
      attach(server, app)
      const { port } = await listen(server)
      const seen = []
      for (const path of ['/app', '/other']) {
        const socket = tls.connect({
          port,
          ca: certificate,
          servername: 'localhost',
          ALPNProtocols: ['http/1.1'],
        })
        await once(socket, 'secureConnect')
        const client = RawClient.over(socket)
        seen.push(await answered(client, path))
        client.destroy()
      }
      expect(seen).to.deep.equal(['app', 'ws'])
    })
  }
})
