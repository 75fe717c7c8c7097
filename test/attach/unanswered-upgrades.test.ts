import type { IncomingMessage, RequestListener } from 'node:http'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import { cut, upgradeTo } from '../support/clients/pipelined.js'
import { observing } from '../support/observed.js'
import { deferred } from '../support/time/deferred.js'
import { MockedClock } from '../support/time/mocked-clock.js'
import { turns } from '../support/time/turns.js'
import { until } from '../support/time/until.js'
import { waitFor } from '../support/time/waiting.js'
import { answered, apps, choosing, closeAll, open, own } from './neighbors.js'

describe('attach with an upgrade that the app passes on, and no other listener answers', () => {
  const observer = observing()
  afterEach(closeAll)

  const chain = apps['Express 5']!

  it('cuts an answer that a plain function has begun before it fails, and takes no other status than that of an error', async () => {
    const plain = apps['a (req, res, next) function']!
    const contained = observer.messages('sluiceway:contained')
    const client = await open(
      plain((_req, res, next) => {
        res.writeHead(200, { 'Content-Length': 10 }).write('begun', () => next(new Error('no')))
      }),
      [choosing('/other')],
    )
    client.write(upgradeTo('websocket', '/other'))
    await client.untilText('begun')
    await client.closed()
    expect(contained).to.deep.equal([])
    for (const [status, expected] of [
      [200, '500'],
      [399, '500'],
      [400, '400'],
      [999, '500'],
      ['404', '500'],
    ] as const) {
      const one = await open(
        plain((_req, _res, next) => next(Object.assign(new Error('no'), { status }))),
        [choosing('/other')],
      )
      expect(await answered(one, '/other')).to.equal(expected)
    }
  })

  it('answers itself for a plain function that has the members of an application by chance', async () => {
    const plain = apps['a (req, res, next) function']!
    const handle: RequestListener = (_req, res) => res.writeHead(200).end()
    for (const members of [{ handle }, { router: {} }, { stack: [] }]) {
      const app = Object.assign(
        plain((_req, _res, next) => next(new Error('no'))),
        members,
      )
      expect(await answered(await open(app, [choosing('/other')]), '/other')).to.equal('500')
    }
  })

  for (const [how, listener] of Object.entries<(...given: [IncomingMessage, Duplex]) => unknown>({
    'has listened to it': (_req, socket) => socket.on('error', () => {}),
    'has written to it': (_req, socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n'),
    'has returned a promise': (_req, _socket) => new Promise(() => {}),
    'takes it later': (_req, socket) => process.nextTick(() => socket.on('data', () => {})),
  })) {
    it(`does not answer after five seconds if a listener is at work: it ${how}`, async () => {
      const clock = new MockedClock()
      const told = deferred()
      const client = await open(chain(own), [
        (server) => {
          server.on('upgrade', (req: IncomingMessage, socket: Duplex) => {
            told.resolve()
            return listener(req, socket)
          })
        },
      ])
      clock.stop()
      try {
        client.write(upgradeTo('websocket', '/other'))
        await told.promise
        await clock.pass(6000)
      } finally {
        clock.restore()
      }
      await turns()
      expect(client.pending.toString()).not.to.include('404')
      client.destroy()
    })
  }

  it('keeps no timer of an upgrade that all of them ignore once its client has left', async () => {
    const clock = new MockedClock()
    const told = deferred<Duplex>()
    const client = await open(chain(own), [
      (server) => void server.on('upgrade', (_req: IncomingMessage, socket: Duplex) => told.resolve(socket)),
    ])
    clock.stop()
    try {
      client.write(upgradeTo('websocket', '/other'))
      const socket = await told.promise
      await until(() => clock.pending > 0)
      const closing = new Promise<void>((resolve) => void socket.once('close', () => resolve()))
      cut(client)
      await waitFor('the connection to close', closing)
      expect(clock.pending).to.equal(0)
    } finally {
      clock.restore()
    }
  })
})
