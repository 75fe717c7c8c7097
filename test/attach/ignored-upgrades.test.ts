import { createServer } from 'node:http'

import { expect } from 'chai'

import { attached } from '../support/attached.js'
import { RawClient } from '../support/raw-client.js'
import { closeServers } from '../support/servers.js'

describe('attach with an upgrade that it ignores', () => {
  let client: RawClient

  beforeEach(async () => {
    const { port } = await attached((req, res) => void res.end(JSON.stringify(req.rawHeaders)))
    client = await RawClient.connect(port)
  })
  afterEach(closeServers)

  /** Sends a request with these lines. Gives those that the app was given, and what becomes of the connection. */
  async function exchange(...lines: readonly string[]): Promise<{ seen: string[]; connection: unknown }> {
    client.write(Buffer.from(`GET / HTTP/1.1\r\nHost: test\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
    const { headers, body } = await client.response()
    const raw = JSON.parse(body.toString()) as string[]
    const seen = raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : [])).slice(1)
    return { seen, connection: headers['connection']?.[0] }
  }

  for (const [what, sent, kept] of [
    ['the lines of the upgrade', ['Connection: upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AA'], []],
    [
      'its options of Connection, and no others',
      [
        'Connection: Upgrade,keep-alive ,HTTP2-Settings , Upgrade-Insecure , X-Upgrade, HTTP2-Settings-2, X-HTTP2-Settings',
        'Upgrade: h2c',
      ],
      ['Connection: keep-alive, Upgrade-Insecure, X-Upgrade, HTTP2-Settings-2, X-HTTP2-Settings'],
    ],
    [
      'nothing of what is only called alike',
      [
        'Connection: Upgrade',
        'Upgrade: h2c',
        'Upgrade-Insecure-Requests: 1',
        'X-Upgrade: 2',
        'HTTP2-Settings-Like: 3',
        'X-HTTP2-Settings: 4',
        'X-Connection: upgrade, 5',
        'Connection-Id: upgrade, 6',
      ],
      [
        'Upgrade-Insecure-Requests: 1',
        'X-Upgrade: 2',
        'HTTP2-Settings-Like: 3',
        'X-HTTP2-Settings: 4',
        'X-Connection: upgrade, 5',
        'Connection-Id: upgrade, 6',
      ],
    ],
    ['no byte of a value', ['Connection: Upgrade', 'Upgrade: h2c', 'X-Name: caf\xe9'], ['X-Name: caf\xe9']],
  ] as const) {
    it(`takes ${what} out of the head`, async function headIsWrittenAnew() {
      // Where Node asks first, it serves the request itself, and its head stays as it is.
      if ('shouldUpgradeCallback' in createServer()) this.skip()
      expect((await exchange(...sent)).seen).to.deep.equal(kept)
    })
  }

  for (const lines of [
    ['Upgrade: h2c'],
    ['Upgrade: H2C'],
    ['Upgrade: websocket,h2c'],
    ['Upgrade: websocket , h2c'],
    ['Upgrade: h2c , websocket'],
    ['Upgrade: websocket', 'Content-Length: 1', '', 'a'],
    ['Upgrade: websocket', 'Transfer-Encoding: chunked', '', '0'],
  ]) {
    it(`keeps the connection after "${lines.join(' | ')}"`, async () => {
      expect((await exchange('Connection: Upgrade', ...lines)).connection).to.equal('keep-alive')
    })
  }

  for (const lines of [
    ['Upgrade: h2c-like'],
    ['Upgrade: not-h2c'],
    ['Upgrade: websocket, x-h2c'],
    ['Upgrade: websocket', 'Content-Length: 0'],
  ]) {
    it(`does not ignore "${lines.join(' | ')}": the app is given all of it, and the connection ends`, async () => {
      const { seen, connection } = await exchange('Connection: Upgrade', ...lines)
      expect(seen).to.deep.equal(['Connection: Upgrade', ...lines])
      expect(connection).to.equal('close')
      await client.closed()
    })
  }
})
