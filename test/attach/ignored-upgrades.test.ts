import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { kinds, message, transports, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient, type RawResponse } from '../support/clients/raw-client.js'
import { attached } from '../support/servers/attached.js'
import { closeServers, listen, serve, type TestServer } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

const ignored: Record<string, string> = {
  h2c: kinds['h2c']!('/'),
  'with a body': kinds['length']!('/'),
  'with chunks': kinds['chunked']!('/'),
}

/** The request that the app was given. */
interface Seen {
  readonly lines: readonly string[]
  readonly upgrade: string | null
  readonly isUpgrade: boolean
}

function describeRequest(req: IncomingMessage & { upgrade?: boolean }, res: ServerResponse): void {
  const { rawHeaders } = req
  const lines = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []))
  const seen: Seen = {
    lines: lines.slice(1),
    upgrade: req.headers.upgrade ?? null,
    isUpgrade: req.upgrade === true,
  }
  res.end(JSON.stringify(seen))
}

describe('attach with an upgrade that it ignores', () => {
  let client: RawClient

  beforeEach(async () => {
    const { port } = await attached(describeRequest)
    client = await RawClient.connect(port)
  })
  afterEach(closeServers)

  /** Sends a request with these lines. Gives those that the app was given, and what becomes of the connection. */
  async function exchange(...lines: readonly string[]): Promise<Seen & { connection: unknown }> {
    client.write(Buffer.from(`GET / HTTP/1.1\r\nHost: test\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
    const { headers, body } = await client.response()
    return { ...(JSON.parse(String(body)) as Seen), connection: headers['connection']?.[0] }
  }

  for (const lines of [
    ['Upgrade: h2c'],
    ['Upgrade: H2C'],
    ['Upgrade: websocket,h2c'],
    ['Upgrade: websocket , h2c'],
    ['Upgrade: h2c , websocket'],
    ['Upgrade: h2c', 'HTTP2-Settings: AA', 'X-Name: caf\xe9'],
  ]) {
    it(`keeps the connection after "${lines.join(' | ')}", which the app sees as a plain request`, async () => {
      const { lines: seen, ...rest } = await exchange('Connection: Upgrade', ...lines)
      expect(rest).to.deep.equal({ upgrade: null, isUpgrade: false, connection: 'keep-alive' })
      expect(seen).to.deep.equal(['Connection: Upgrade', ...lines])
      expect((await exchange()).connection).to.equal('keep-alive')
    })
  }

  for (const [lines, body] of [
    [['Upgrade: websocket', 'Content-Length: 1'], 'a'],
    [['Upgrade: websocket', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
    [['Upgrade: websocket', 'Transfer-Encoding: gzip , Chunked '], '0\r\n\r\n'],
  ] as const) {
    it(`keeps the connection after "${lines.join(' | ')}"`, async () => {
      client.write(message('GET / HTTP/1.1', 'Host: test', 'Connection: Upgrade', ...lines), body)
      expect((await client.response()).headers['connection']).to.deep.equal(['keep-alive'])
      expect((await exchange()).connection).to.equal('keep-alive')
    })
  }

  for (const lines of [
    ['Upgrade: h2c-like'],
    ['Upgrade: not-h2c'],
    ['Upgrade: websocket, x-h2c'],
    ['Upgrade: websocket', 'Content-Length: 0'],
  ]) {
    it(`does not ignore "${lines.join(' | ')}": the app gets the whole head, and the connection ends`, async () => {
      const { lines: seen, isUpgrade, connection } = await exchange('Connection: Upgrade', ...lines)
      expect(seen).to.deep.equal(['Connection: Upgrade', ...lines])
      expect(isUpgrade).to.equal(true)
      expect(connection).to.equal('close')
      await client.closed()
    })
  }
})

describe('attach with an upgrade that Node would refuse as a plain request', () => {
  afterEach(closeServers)

  const asked = ['Connection: Upgrade', 'Upgrade: websocket']

  async function answerTo(port: number, bytes: string): Promise<Partial<RawResponse>> {
    const client = await RawClient.connect(port)
    client.write(bytes)
    const { status, reason, headers } = await client.response()
    const isClosed = headers['connection']?.[0] === 'close'
    if (isClosed) await client.closed()
    client.destroy()
    return { status, reason, headers: { connection: headers['connection'] ?? [] } }
  }

  for (const [what, requestLine, lines] of [
    ['without Host', 'GET / HTTP/1.1', []],
    ['with HTTP/1.0', 'GET / HTTP/1.0', ['Host: test']],
    ['with HTTP/2.0 in its line', 'GET / HTTP/2.0', ['Host: test']],
    ['with an expectation that nobody meets', 'GET / HTTP/1.1', ['Host: test', 'Expect: more']],
    ['with a coding after chunked', 'POST / HTTP/1.1', ['Host: test', 'Transfer-Encoding: chunked, gzip']],
    [
      'with a second coding that has no end',
      'POST / HTTP/1.1',
      ['Host: test', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip'],
    ],
  ] as const) {
    it(`answers it ${what} as the server does without Upgrade`, async () => {
      const bare = await serve((_req, res) => res.end())
      const expected = await answerTo(bare.port, message(requestLine, ...lines))
      const { port } = await attached((_req, res) => res.end())
      expect(await answerTo(port, message(requestLine, ...lines, ...asked))).to.deep.equal(expected)
    })
  }

  // Without Upgrade, Node hands such a message to the app and fails the connection after that.
  it('answers 400 to a coding without an end, without calling the app', async () => {
    const seen: unknown[] = []
    const { port } = await attached((req, res) => {
      seen.push(req.url)
      res.end()
    })
    const sent = message('POST / HTTP/1.1', 'Host: test', 'Transfer-Encoding: identity', ...asked)
    const smuggled = message('GET /smuggled HTTP/1.1', 'Host: test')
    expect(await answerTo(port, sent + smuggled)).to.include({ status: 400 })
    expect(seen).to.deep.equal([])
  })

  /** What a server tells of a connection that fails when the last packet comes. */
  async function failureOf({ server, port }: TestServer, packets: readonly string[]): Promise<object> {
    const failed = new Promise<object>((resolve) => {
      server.on('clientError', (error: Error & Record<string, unknown>, socket) => {
        socket.destroy()
        const { message: text, code, reason, bytesParsed, rawPacket } = error
        resolve({ text, code, reason, bytesParsed: typeof bytesParsed, rawPacket: String(rawPacket) })
      })
    })
    const client = await RawClient.connect(port)
    for (const first of packets.slice(0, -1)) {
      client.write(first)
      await client.response()
    }
    client.write(packets.at(-1)!)
    return failed
  }

  const plain = message('GET / HTTP/1.1', 'Host: test')

  for (const [what, packets, bare] of [
    [
      'a coding without an end',
      [message('POST / HTTP/1.1', 'Host: test', 'Transfer-Encoding: identity', ...asked)],
      [message('POST / HTTP/1.1', 'Host: test', 'Transfer-Encoding: identity')],
    ],
    ['bytes that begin no message', [upgradeTo('h2c'), '\x00\x01\r\n\r\n'], [plain, '\x00\x01\r\n\r\n']],
  ] as const) {
    it(`gives listeners for 'clientError' the error and the packet with ${what}, as Node does`, async () => {
      const expected = await failureOf(await serve((_req, res) => res.end()), bare)
      const failure = await failureOf(await attached((_req, res) => res.end()), packets)
      expect(failure).to.deep.equal({ ...expected, rawPacket: packets.at(-1) })
    })
  }

  for (const requestLine of ['CONNECT test:80 HTTP/1.0', 'CONNECT test:80 HTTP/1.1']) {
    it(`leaves "${requestLine}" without Host to the listener for 'connect'`, async () => {
      const { server, port } = await attached((_req, res) => res.end())
      server.on('connect', (_req, socket) => socket.end('connected'))
      const client = await RawClient.connect(port)
      client.write(message(requestLine))
      await client.untilText('connected')
    })
  }

  it('accepts an upgrade without Host if the server does not require one', async () => {
    const server = createServer({ requireHostHeader: false }, describeRequest)
    attach(server, describeRequest)
    const { port } = await listen(server)
    const client = await RawClient.connect(port)
    client.write(message('GET / HTTP/1.1', ...asked))
    expect(JSON.parse(String((await client.response()).body))).to.include({ isUpgrade: true })
  })
})

describe('attach on connections opened before attach or still open after detach', () => {
  afterEach(closeServers)

  for (const [what, bytes] of [
    ['an upgrade with a body', `${upgradeTo('websocket', '/', 'Content-Length: 1')}a`],
    ['an upgrade to h2c', upgradeTo('h2c')],
    ['an upgrade without Host', message('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket')],
  ] as const) {
    it(`cuts such a connection at ${what}, without calling the app`, async () => {
      const upgrades: unknown[] = []
      const own = await serve(() => {})
      const client = await RawClient.connect(own.port)
      await until(() => own.connections.length === 1)
      attach(own.server, (req) => void upgrades.push(req.url))
      client.write(bytes)
      await client.closed()
      expect(upgrades).to.deep.equal([])
    })
  }

  it('cuts such a connection when the upgrade arrives behind two responses in progress', async () => {
    const upgrades: unknown[] = []
    const answers: ServerResponse[] = []
    const own = await serve((_req, res) => {
      answers.push(res)
      if (answers.length === 2) setImmediate(() => answers[0]!.end('first'))
    })
    const client = await RawClient.connect(own.port)
    await until(() => own.connections.length === 1)
    attach(own.server, (req) => void upgrades.push(req.url))
    const get = message('GET / HTTP/1.1', 'Host: test')
    client.write(get, get, upgradeTo('websocket'))
    expect(String((await client.response()).body)).to.equal('first')
    await client.closed()
    expect(upgrades).to.deep.equal([])
  })

  it('leaves every upgrade to other listeners once it is detached', async () => {
    const { server, port } = await serve(describeRequest)
    const detach = attach(server, describeRequest)
    const client = await RawClient.connect(port)
    client.write(upgradeTo('h2c'))
    expect((await client.response()).status).to.equal(200)
    detach()
    server.on('upgrade', (req: IncomingMessage, socket: Duplex) =>
      socket.end(`taken: ${req.headers.upgrade}`),
    )
    client.write(upgradeTo('h2c'))
    await client.untilText('taken: h2c')
    await client.closed()
  })
})

for (const { name, serve: start, connect } of transports) {
  describe(`bytes that form no message, after an upgrade that attach ignores, over ${name}`, () => {
    afterEach(closeServers)

    for (const [what, upgrade] of Object.entries(ignored)) {
      for (const isTogether of [true, false]) {
        it(`make the connection fail as in Node, ${what}, ${isTogether ? 'in one packet' : 'later'}`, async () => {
          const { port } = await start((req, res) => {
            req.on('end', () => res.end('plain')).resume()
          })
          const client = await connect(port)
          if (isTogether) client.write(upgrade, 'no message\r\n\r\n')
          else {
            client.write(upgrade)
            expect(String((await client.response()).body)).to.equal('plain')
            client.write('no message\r\n\r\n')
          }
          await client.closed()
          client.destroy()
        })
      }
    }
  })
}
