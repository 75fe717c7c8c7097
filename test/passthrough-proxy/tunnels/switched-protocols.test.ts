import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type SluicewayError } from 'sluiceway'
import { Agent } from 'undici'
import { RawClient } from '../../support/clients/raw-client.js'
import { attached } from '../../support/servers/attached.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'

const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n'

for (const [through, open] of [
  ['the built-in pool', () => undefined],
  ['a dispatcher', () => new Agent()],
] as const) {
  describe(`the 101 of an upstream behind passthroughProxy, through ${through}`, () => {
    afterEach(closeServers)

    async function switching(
      lines: string,
      status = '101',
    ): Promise<{ answered: string; errors: SluicewayError[] }> {
      const upstream = await scriptedUpstream()
      const dispatcher = open()
      const errors: SluicewayError[] = []
      const app = express().set('env', 'test').use(passthroughProxy(upstream.url, { dispatcher }))
      app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
        errors.push(error)
        next(error)
      })
      const client = await RawClient.connect((await attached(app)).port)
      client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(`HTTP/1.1 ${status} Switching Protocols\r\n${lines}\r\n`)
      const answered = await client.untilText('\r\n\r\n')
      if (errors.length > 0) await connection.closed()
      client.destroy()
      await dispatcher?.destroy()
      return { answered, errors }
    }

    for (const status of ['001', '099']) {
      it(`is a 502 if its status is ${status}`, async () => {
        const { answered, errors } = await switching('', status)
        expect(answered).to.match(/^HTTP\/1\.1 502 /)
        expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
      })
    }

    it('is passed on if it names the protocol that was asked for, in its own spelling', async () => {
      const { answered, errors } = await switching(
        'Upgrade: webSocket\r\nConnection: X-A, upgrade\r\nX-A: 1\r\n',
      )
      expect(answered).to.match(/^HTTP\/1\.1 101 [^]*Connection: Upgrade\r\nUpgrade: webSocket\r\n/)
      expect(answered).not.to.contain('X-A')
      expect(errors).to.deep.equal([])
    })

    for (const [what, lines] of [
      ['names another protocol', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'],
      ['names two', 'Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n'],
      ['names none', 'Connection: Upgrade\r\n'],
      ['has no Connection: upgrade', 'Upgrade: websocket\r\n'],
    ] as const) {
      it(`is a 502 if it ${what}, and the connection is closed`, async () => {
        const { answered, errors } = await switching(lines)
        expect(answered).to.match(/^HTTP\/1\.1 502 /)
        expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
      })
    }
  })
}
