import { once } from 'node:events'
import { type IncomingMessage, type RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setImmediate as immediate } from 'node:timers/promises'
import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { cut, message, upgradeTo } from '../support/clients/pipelined.js'
import { observing } from '../support/observed.js'
import { serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'
import { answered, apps, choosing, closeAll, HANDSHAKE, open, others, own, type Step } from './neighbors.js'

/** A frame of a WebSocket, masked with zeros, and the answer to it. */
const PING = Buffer.from('898000000000', 'hex')
const PONG = '8a00'

describe('attach, when the app passes an upgrade on to other listeners', () => {
  const observer = observing()
  afterEach(closeAll)

  const chain = apps['Express 5']!

  for (const [how, step] of Object.entries<Step>({
    'has answered': (_req, res, next) => {
      res.writeHead(200).end('answered')
      next()
    },
    'has begun to answer': (_req, res, next) => {
      res.writeHead(200, { 'Content-Length': 8 }).write('answered')
      next()
    },
    'has taken the connection over': ({ socket }, _res, next) => {
      socket.on('data', () => {}).write('answered')
      next()
    },
  })) {
    it(`calls none of them if the app ${how} before it passes on`, async () => {
      let told = 0
      const client = await open(chain(step), [
        (server) => void server.on('upgrade', (_req: IncomingMessage, _socket: Duplex) => told++),
      ])
      client.write(upgradeTo('websocket', '/other'))
      await client.untilText('answered')
      await turns()
      expect(told).to.equal(0)
      client.destroy()
    })
  }

  it('leaves a connection to the handler that has taken it over before it passes on', async () => {
    const app = chain(({ socket }, _res, next) => {
      socket.pipe(socket)
      next()
    })
    const client = await open(app, [others['ws with { server }']!])
    client.write(upgradeTo('websocket', '/other'), 'echo')
    await client.untilText('echo')
    client.destroy()
  })

  it('leaves a connection alone that the app has passed on before it fails, or passed on twice', async () => {
    for (const app of [
      (async (...[, , next]: Parameters<Step>) => {
        next()
        await Promise.reject(new Error('too late'))
      }) as unknown as RequestListener,
      chain((_req, _res, next) => {
        next()
        next()
      }),
    ]) {
      const client = await open(app, [choosing('/other')])
      expect(await answered(client, '/other')).to.equal('ws')
      client.write(PING)
      expect((await client.bytes(2)).toString('hex')).to.equal(PONG)
      client.destroy()
    }
  })

  it('no longer offers an upgrade that was passed on to a proxy', async () => {
    const asked = deferred<IncomingMessage>()
    const upstream = await serve((req, res) => {
      asked.resolve(req)
      res.end()
    })
    const proxy = passthroughProxy(upstream.url)
    const client = await open(chain(own), [
      (server) =>
        void server.on('upgrade', (req: IncomingMessage, _socket: Duplex) => {
          proxy(req, new ServerResponse(req), () => {})
        }),
    ])
    client.write(upgradeTo('websocket', '/other'))
    expect((await asked.promise).headers).not.to.have.property('upgrade')
    client.destroy()
  })

  it('gives them the bytes that came right behind the head, and later ones', async () => {
    const arrival = deferred<[IncomingMessage, () => void]>()
    const app = chain((req, _res, next) => arrival.resolve([req, next]))
    const client = await open(app, [
      (server) =>
        void server.on('upgrade', (_req: IncomingMessage, socket: Duplex, head: Buffer) => {
          socket.write(head)
          socket.pipe(socket)
        }),
    ])
    client.write(`${upgradeTo('websocket', '/other')}early `)
    const [{ socket }, proceed] = await arrival.promise
    const before = socket.bytesRead
    client.write('later ')
    while (socket.bytesRead === before) await immediate()
    proceed()
    await client.untilText('early later ')
    client.write('last')
    await client.untilText('last')
    client.destroy()
  })

  it('lets them wait until a connection has drained', async () => {
    const client = await open(chain(own), [
      (server) =>
        void server.on('upgrade', (_req: IncomingMessage, socket: Duplex) => {
          while (socket.write(Buffer.alloc(100_000)));
          socket.once('drain', () => socket.end('drained'))
        }),
    ])
    client.write(upgradeTo('websocket', '/other'))
    await client.untilText('drained')
  })

  it('leaves them no connection that its client has cut', async () => {
    let told = 0
    const arrival = deferred()
    const app = chain((_req, res, next) => {
      res.on('close', () => setImmediate(next))
      arrival.resolve()
    })
    const client = await open(app, [
      (server) => void server.on('upgrade', (_req: IncomingMessage, _socket: Duplex) => told++),
    ])
    client.write(upgradeTo('websocket', '/other'))
    await arrival.promise
    cut(client)
    await client.closed()
    await turns()
    expect(told).to.equal(0)
  })

  it('waits, for them too, until the answer before is out', async () => {
    const arrival = deferred<() => void>()
    const app = chain((req, res, next) => {
      if (req.url === '/slow') arrival.resolve(() => res.end('slow'))
      else next()
    })
    const client = await open(app, [others['ws with { server }']!])
    client.write(message('GET /slow HTTP/1.1', 'Host: test'), upgradeTo('websocket', '/other', ...HANDSHAKE))
    const answer = await arrival.promise
    await turns()
    answer()
    expect(String((await client.response()).body)).to.equal('slow')
    expect((await client.response()).headers['x-by']).to.deep.equal(['ws'])
    client.destroy()
  })

  for (const [how, listener] of Object.entries<(...args: [IncomingMessage, Duplex]) => unknown>({
    throws: (_req, _socket) => {
      throw new Error('oops')
    },
    rejects: (_req, _socket) => Promise.reject(new Error('oops')),
    'has read the request when it rejects': async (req, _socket) => {
      await text(req)
      throw new Error('oops')
    },
  })) {
    it(`ends only that connection if a listener ${how}`, async () => {
      const contained = observer.messages('sluiceway:contained')
      const client = await open(chain(own), [(server) => void server.on('upgrade', listener)])
      client.write(upgradeTo('websocket', '/other'))
      await client.closed()
      expect(contained.map(({ req, error }) => [req?.url, (error as Error).message])).to.deep.equal([
        ['/other', 'oops'],
      ])
    })
  }

  it('closes the response of the app with the connection that it has passed on', async () => {
    let closing: Promise<unknown> | undefined
    const app = chain((_req, res, next) => {
      closing = once(res, 'close')
      next()
    })
    const client = await open(app, [others['ws with { server }']!])
    expect(await answered(client, '/other')).to.equal('ws')
    client.destroy()
    await closing
  })
})
