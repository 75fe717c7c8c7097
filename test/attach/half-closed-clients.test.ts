import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import net, { type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import express from 'express'
import { attach, passthroughProxy } from 'sluiceway'
import { message, type Transport, transports, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closed } from '../support/process/open-resources.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen, type TestServer } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { happened, waitFor } from '../support/time/waiting.js'

const UPGRADE = upgradeTo('websocket', '/')
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** An app, which may be async. */
type App = (...given: Parameters<RequestListener>) => unknown

/** More than the server holds for a handler, so that the end is not read before the handler reads. */
const LARGE = 'x'.repeat(200_000)

/** Answers an upgrade. Over TLS, Node ends the other half too unless a handler says otherwise. */
function takeOver(socket: Duplex): Duplex {
  socket.allowHalfOpen = true
  socket.write(SWITCH)
  return socket
}

function take(socket: Duplex): Buffer | null {
  return socket.read() as Buffer | null
}

/** The ways to read a connection to its end. */
const readers: Record<string, (socket: Duplex) => Promise<string>> = {
  data: async (socket) => {
    let received = ''
    socket.on('data', (chunk) => (received += String(chunk)))
    await once(socket, 'end')
    return received
  },
  readable: async (socket) => {
    let received = ''
    socket.on('readable', () => {
      for (let chunk = take(socket); chunk !== null; chunk = take(socket)) {
        received += chunk.toString()
      }
    })
    await once(socket, 'end')
    return received
  },
  iterator: async (socket) => {
    let received = ''
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) received += String(chunk)
    return received
  },
}

const socketPath = path.join(tmpdir(), `sluiceway-half-closed-${process.pid}.sock`)

/** Connections of such a server have no peer with an address. */
const unixSocket: Transport = {
  name: 'a Unix socket',
  serve: (app) => {
    const server = createServer(app)
    attach(server, app)
    return listen(server, { path: socketPath })
  },
  connect: async () => {
    const socket = net.connect({ path: socketPath, allowHalfOpen: true })
    await happened('the client', socket, 'connect')
    return RawClient.over(socket)
  },
}

for (const { name, serve, connect } of [...transports, unixSocket]) {
  describe(`attach and a client that ends its half behind its upgrade (${name})`, () => {
    afterEach(closeServers)

    /** Sends an upgrade, its end, and what comes between them. */
    async function halfClosed(app: App, early = ''): Promise<[RawClient, TestServer]> {
      const server = await serve(app)
      const client = await connect(server.port)
      client.write(UPGRADE, early)
      client.socket.end()
      return [client, server]
    }

    async function allClosed({ connections }: TestServer, client: RawClient): Promise<void> {
      await waitFor('both sides to be closed', Promise.all([...connections, client.socket].map(closed)))
    }

    for (const [kind, early] of [
      ['', ''],
      [', with bytes between', 'early'],
    ] as const) {
      for (const [when, delay] of [
        ['at once', () => {}],
        ['after the end', ({ socket }: { socket: Duplex }) => once(socket, 'end')],
      ] as const) {
        it(`gives it an answer of the app, ${when}${kind}`, async () => {
          const app: App = async (req, res) => {
            await delay(req)
            res.writeHead(404).end('none here')
          }
          const [client, server] = await halfClosed(app, early)
          const { status, body } = await client.response()
          expect([status, body.toString()]).to.deep.equal([404, 'none here'])
          await allClosed(server, client)
        })

        for (const [way, read] of Object.entries(readers)) {
          it(`hands bytes and end to a handler that takes the connection over by '${way}', ${when}${kind}`, async () => {
            const app: App = async (req) => {
              await delay(req)
              const socket = takeOver(req.socket)
              const received = await read(socket)
              socket.end(`got "${received}"`)
            }
            const [client, server] = await halfClosed(app, early)
            await client.untilText(SWITCH)
            await client.untilText(`got "${early}"`)
            await allClosed(server, client)
          })
        }

        it(`hands both to a handler that pipes it back, ${when}${kind}`, async () => {
          const app: App = async (req) => {
            await delay(req)
            takeOver(req.socket).pipe(req.socket)
          }
          const [client, server] = await halfClosed(app, early)
          await client.untilText(SWITCH + early)
          await allClosed(server, client)
        })

        it(`leaves both to another listener that the app passes it on to, ${when}${kind}`, async () => {
          const app = express().use(async (req, _res, next) => {
            await delay(req)
            next()
          })
          const server = await serve(app)
          server.server.on('upgrade', (_req, socket, head) => {
            void readers['data']!(takeOver(socket)).then((received) =>
              socket.end(`got "${String(head)}${received}"`),
            )
          })
          const client = await connect(server.port)
          client.write(UPGRADE, early)
          client.socket.end()
          await client.untilText(SWITCH)
          await client.untilText(`got "${early}"`)
          await allClosed(server, client)
        })
      }

      it(`tunnels the bytes of the upstream to it${kind}`, async () => {
        const upstream = await scriptedUpstream()
        const ended = deferred()
        const app = express().use((req, _res, next) => {
          req.socket.once('end', () => ended.resolve())
          next()
        }, passthroughProxy(upstream.url))
        const [client, server] = await halfClosed(app, early)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        await waitFor("the client's end to arrive", ended.promise)
        connection.write(SWITCH)
        await client.untilText('\r\n\r\n')
        await connection.closed()
        expect(connection.pending.toString()).to.equal(early)
        connection.write('first words')
        await client.untilText('first words')
        connection.socket.end('last words')
        await client.untilText('last words')
        await allClosed(server, client)
      })

      it(`relays to it an answer that is no 101${kind}`, async () => {
        const upstream = await scriptedUpstream()
        const [client, server] = await halfClosed(express().use(passthroughProxy(upstream.url)), early)
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write('HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\n')
        await client.untilText('\r\n\r\n')
        connection.write('none')
        await client.untilText('none')
        await allClosed(server, client)
      })
    }

    it('hands over bytes that came one after the other, and their end behind them, once the app has heard of it', async () => {
      const arrived = deferred<Socket>()
      const app: App = async ({ socket }) => {
        arrived.resolve(socket)
        await once(socket, 'end')
        const received = await readers['data']!(takeOver(socket))
        socket.end(`got "${received}"`)
      }
      const server = await serve(app)
      const client = await connect(server.port)
      client.write(UPGRADE)
      const socket = await waitFor('the app to be asked', arrived.promise)
      for (const word of ['one ', 'two ', 'three']) {
        const before = socket.bytesRead
        client.write(word)
        await until(() => socket.bytesRead > before, `"${word}" to arrive`)
      }
      client.socket.end()
      await client.untilText('got "one two three"')
      await allClosed(server, client)
    })

    it('stops reading a client that keeps sending, and hands everything over to a handler that reads later', async () => {
      const app: App = async ({ socket }) => {
        await happened('the connection', socket, 'pause')
        const received = await readers['data']!(takeOver(socket))
        socket.end(`got ${received.length}`)
      }
      const [client, server] = await halfClosed(app, LARGE)
      await client.untilText(`got ${LARGE.length}`)
      await allClosed(server, client)
    })

    it('hands over many bytes, and their end behind them', async () => {
      const app: App = async ({ socket }) => {
        const received = await readers['data']!(takeOver(socket))
        socket.end(`got ${received.length}`)
      }
      const [client, server] = await halfClosed(app, LARGE)
      await client.untilText(`got ${LARGE.length}`)
      await allClosed(server, client)
    })

    it('gives it the answer in progress too', async () => {
      let begun: Parameters<RequestListener>[1] | undefined
      const app: RequestListener = (req, res) => {
        if (req.url === '/begun') {
          begun = res
          res.write('begun')
        } else res.writeHead(404).end('none here')
      }
      const server = await serve(app)
      const client = await connect(server.port)
      client.write(message('GET /begun HTTP/1.1', 'Host: test'))
      await client.untilText('begun')
      const ended = once(begun!.socket!, 'end')
      client.write(UPGRADE)
      await once(server.server, 'upgrade')
      client.socket.end()
      await waitFor("the client's end to arrive", ended)
      begun!.end('over')
      await client.untilText('over')
      await client.untilText('none here')
      await allClosed(server, client)
    })
  })
}
