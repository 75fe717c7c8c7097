import { mkdtempSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import tls, { type TLSSocket } from 'node:tls'
import { expect } from 'chai'
import { type ClientOptions, createClient } from '../../../support/http1/http1-client.js'
import { ask, type RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import { answer } from '../../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../../support/servers/servers.js'
import { certificate, expiredCertificate, key } from '../../../support/servers/tls-certificate.js'
import { until } from '../../../support/time/until.js'
import { turn } from './asked.js'

const settings: ClientOptions = { maxConnections: 2, connectTimeoutMs: 2000, maxResponseHeadBytes: 16_384 }
interface Seen {
  readonly origin: string
  readonly sockets: TLSSocket[]
  /** Of each connection, whether it takes up a session. */
  readonly reused: (boolean | null)[]
}

describe("the proxy's own client", () => {
  afterEach(closeServers)

  async function secure(options: https.ServerOptions = {}): Promise<Seen> {
    const sockets: TLSSocket[] = []
    const server = https.createServer({ key, cert: certificate, ...options }, (req, res) => {
      res.end(`${req.headers.host} ${(req.socket as TLSSocket).getProtocol()} ${'a'.repeat(100_000)}`)
    })
    const reused: Seen['reused'] = []
    server.on('secureConnection', (socket: TLSSocket) => {
      sockets.push(socket)
      reused.push(socket.isSessionReused())
    })
    const { port } = await listen(server)
    return { origin: `https://localhost:${port}`, sockets, reused }
  }

  async function answered(
    origin: string,
    connect: ClientOptions['connect'],
    request = {},
  ): Promise<RecordingReceiver> {
    const client = createClient({ ...settings, connect })
    const got = ask(client, { origin, ...request })
    await Promise.race([got.ended(), got.until('failure')]).catch(() => {})
    client.close()
    return got
  }

  it('reaches a server with TLS, by name and by address', async () => {
    const { origin, sockets } = await secure()
    for (const at of [origin, origin.replace('localhost', '127.0.0.1')]) {
      const got = await answered(at, { ca: certificate })
      expect(got.failure?.cause).to.equal(undefined)
      expect(got.body.length).to.be.above(100_000)
      expect(got.body).to.contain(new URL(at).host)
    }
    expect(sockets.map(({ servername }) => servername || '')).to.deep.equal(['localhost', ''])
    expect(sockets.map(({ alpnProtocol }) => alpnProtocol)).to.deep.equal(['http/1.1', 'http/1.1'])
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`reaches a server with ${version}, and resumes its session`, async () => {
      const { origin, reused } = await secure({ minVersion: version, maxVersion: version })
      const client = createClient({ ...settings, connect: { ca: certificate } })
      for (let round = 0; round < 3; round++) {
        const got = ask(client, { origin, lines: ['Connection', 'close'] })
        await got.ended()
        expect(got.body).to.contain(version)
        await turn()
      }
      client.close()
      expect(reused).to.deep.equal([false, true, true])
    })
  }

  it('reaches a server whose certificate is for another name only with servername', async () => {
    const { origin } = await secure()
    const got = await answered(origin, { ca: certificate, servername: 'example.org' })
    expect(got.failure).to.include({
      kind: 'untrusted',
      maybeHeard: false,
      message: 'the certificate of the upstream is for another host',
    })
    const { port } = new URL(origin)
    const lookup = { ca: certificate, servername: 'localhost', host: '127.0.0.1', lookup: toLocalhost }
    const named = await answered(`https://example.org:${port}`, lookup)
    expect(named.body).to.contain(`example.org:${port} `)
  })

  it('refuses a server that is not trusted', async () => {
    const { origin } = await secure()
    expect((await answered(origin, undefined)).failure).to.include({
      kind: 'untrusted',
      maybeHeard: false,
      message: undefined,
    })
    expect((await answered(origin, { rejectUnauthorized: false })).status).to.equal(200)
    const expired = await secure({ cert: expiredCertificate })
    expect((await answered(expired.origin, { ca: expiredCertificate })).failure).to.include({
      kind: 'untrusted',
      message: 'the certificate of the upstream has expired',
    })
  })

  it('ignores a second response in a TLS record of its own', async () => {
    let requests = 0
    const server = tls.createServer({ key, cert: certificate }, (socket) => {
      socket
        .on('error', () => {})
        .on('data', () => {
          requests += 1
          // A record holds 16 KB: the second response begins one of its own.
          if (requests === 1)
            socket.write(
              answer('a'.repeat(16_384 - answer('a'.repeat(16_000)).length + 16_000)) + answer('!!'),
            )
          else socket.write(answer('no'))
        })
    })
    const { port } = await listen(server)
    const client = createClient({ ...settings, maxConnections: 1, connect: { ca: certificate } })
    const both = [1, 2].map(() => ask(client, { origin: `https://localhost:${port}` }))
    for (const got of both) await got.ended()
    expect(both[1]!.body).to.equal('no')
    client.close()
  })

  it('reaches a server that asks for a certificate', async () => {
    const { origin } = await secure({ requestCert: true, ca: certificate })
    const got = await answered(origin, { ca: certificate, key, cert: certificate })
    expect(got.status).to.equal(200)
    expect((await answered(origin, { ca: certificate })).failure?.kind).to.be.oneOf(['reset', 'unreachable'])
  })

  it('fails if the server does not speak TLS, or ends it', async () => {
    const plain = await listen(createServer())
    const got = await answered(plain.url.replace('http', 'https'), undefined)
    expect(got.failure).to.include({ kind: 'unreachable', maybeHeard: false })
    const closing = await listen(net.createServer((socket) => socket.end()))
    const ended = await answered(closing.url.replace('http', 'https'), undefined)
    expect(ended.failure).to.include({ kind: 'unreachable', maybeHeard: false })
  })

  for (const [where, text] of [
    ['within a response', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'],
    ['after a response', answer('hello', 'Keep-Alive: timeout=600\r\n')],
  ] as const) {
    it(`fails if TLS breaks ${where}, even if the connection stays open`, async () => {
      const server = net.createServer((tcp) => {
        const stream = Duplex.from({ readable: tcp, writable: tcp })
        const secured = new tls.TLSSocket(stream, { isServer: true, key, cert: certificate })
        for (const each of [tcp, stream, secured]) each.on('error', () => {})
        secured.once('data', () => secured.write(text, () => tcp.write('no record of TLS')))
      })
      const { port, connections } = await listen(server)
      const client = createClient({ ...settings, maxConnections: 1, connect: { ca: certificate } })
      const got = ask(client, { origin: `https://localhost:${port}` })
      if (where === 'after a response') expect((await got.ended()).body).to.equal('hello')
      else expect((await got.failed()).kind).to.equal('reset')
      await until(() => connections[0]?.closed)
      client.close()
    })
  }

  it('opens a tunnel in TLS', async () => {
    const server = tls.createServer({ key, cert: certificate }, (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly')
        socket.pipe(socket)
      })
    })
    const { port } = await listen(server)
    const client = createClient({ ...settings, connect: { ca: certificate } })
    const got = await ask(client, { origin: `https://localhost:${port}`, upgrade: 'echo' }).until('upgraded')
    let back = got.early
    got.tunnel!.on('data', (data: Buffer) => {
      back += data.toString()
    })
    got.tunnel!.end('x'.repeat(200_000))
    await new Promise((resolve) => got.tunnel!.once('close', resolve))
    expect(back).to.equal(`early${'x'.repeat(200_000)}`)
    client.close()
  })

  it('reaches a Unix socket', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'sluiceway-')), 'socket')
    const server: Server = createServer((req, res) => res.end(`${req.headers.host} ${req.url}`))
    await listen(server, { path })
    const got = await answered('http://api.test', { socketPath: path }, { path: '/a' })
    expect(got.body).to.equal('api.test /a')
    const none = await answered('http://api.test', { socketPath: `${path}.none` })
    expect(none.failure).to.include({ kind: 'unreachable', maybeHeard: false })
  })

  it('reaches an IPv6 address', async function () {
    const server = createServer((req, res) => res.end(req.headers.host))
    const listening = await new Promise((resolve) => {
      server.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true))
    })
    if (listening === false) return this.skip()
    const { port } = server.address() as net.AddressInfo
    const got = await answered(`http://[::1]:${port}`, {})
    expect(got.body).to.equal(`[::1]:${port}`)
    server.close()
    return undefined
  })

  it('reaches the second address of a name whose first fails, and reads into its own buffer', async () => {
    const server = createServer((_req, res) => res.end('a'.repeat(100_000)))
    const { port } = await listen(server)
    const lookup: net.LookupFunction = (_name, _options, callback) => {
      callback(null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ])
    }
    const got = await answered(`http://two.test:${port}`, { lookup, autoSelectFamily: true })
    expect(got.body.length).to.equal(100_000)
    server.close()
    const none = await answered('http://two.test:1', { lookup, autoSelectFamily: true })
    const { errors } = none.failure!.cause as AggregateError
    expect(String(errors)).to.match(/127.0.0.2:1.*127.0.0.1:1/)
  })

  it('fails on a name that does not exist, and on an invalid place', async () => {
    for (const [origin, connect] of [
      ['http://nowhere.invalid', { lookup: noSuchName }],
      ['http://127.0.0.1:1', { localAddress: 'nonsense' }],
    ] as const) {
      const got = await answered(origin, connect)
      expect(got.failure).to.include({ kind: 'unreachable', maybeHeard: false })
    }
    const client = createClient({ ...settings, maxConnections: 1, connect: { localAddress: 'nonsense' } })
    const several = [1, 2, 3].map(() => ask(client, { origin: 'http://127.0.0.1:1' }))
    for (const got of several) expect((await got.failed()).kind).to.equal('unreachable')
    client.close()
    expect((await answered('nonsense', {})).failure).to.include({ kind: 'unsendable', maybeHeard: false })
  })
})

const toLocalhost: net.LookupFunction = (_name, options, callback) => {
  if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }])
  else callback(null, '127.0.0.1', 4)
}

const noSuchName: net.LookupFunction = (_name, _options, callback) => {
  callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), [])
}
