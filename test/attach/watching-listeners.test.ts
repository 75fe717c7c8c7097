import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import { upgradeTo } from '../support/clients/pipelined.js'
import { turns } from '../support/time/turns.js'
import { answered, apps, closeAll, open, own } from './neighbors.js'

describe('attach beside listeners for upgrades that only watch', () => {
  afterEach(closeAll)

  const chain = apps['Express 5']!

  it('calls a listener that only watches at once, and answers in its place', async () => {
    const seen: (string | undefined)[] = []
    const client = await open(chain(own), [
      (server) => void server.on('upgrade', ({ url }: IncomingMessage) => seen.push(url)),
      (server) => void server.on('upgrade', () => seen.push('counted')),
    ])
    expect(await answered(client, '/none')).to.equal('404')
    expect(seen).to.deep.equal(['/none', 'counted'])
    await client.closed()
  })

  for (const [how, take] of Object.entries<(socket: Duplex) => void>({
    'has answered': (socket) => void socket.write('HTTP/1.1 101 Mine\r\n\r\n'),
    'reads the connection': (socket) =>
      void socket.on('data', () => socket.write('HTTP/1.1 101 Mine\r\n\r\n')),
  })) {
    it(`does not answer if one that seems to watch ${how}`, async () => {
      let calls = 0
      const app = chain((req, res, next) => {
        calls++
        own(req, res, next)
      })
      const client = await open(app, [
        (server) => void server.on('upgrade', ({ socket }: IncomingMessage) => take(socket)),
      ])
      client.write(upgradeTo('websocket', '/app'))
      await turns()
      client.write('more')
      await client.untilText('Mine')
      expect(calls).to.equal(0)
      client.destroy()
    })
  }
})
