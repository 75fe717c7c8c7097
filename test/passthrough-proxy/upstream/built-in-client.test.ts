import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import http, {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import https from 'node:https'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import { expect } from 'chai'
import { passthroughProxy, type PassthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { withEntry } from '../../support/error-entry.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { proxied } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'
import { needsOwnClient } from '../../support/undici/transports.js'

const [{ express }] = expressVersions

async function clientOf(proxy: PassthroughProxy): Promise<RawClient> {
  const app = express().set('env', 'test').use(proxy)
  return RawClient.connect((await serve(app as RequestListener)).port)
}

async function askedFor(
  target: string,
  options: PassthroughProxyOptions,
): Promise<{ status: number; text: string }> {
  const client = await clientOf(passthroughProxy(target, options))
  client.request('GET', '/')
  const { status, body } = await client.response()
  client.destroy()
  return { status, text: body.toString() }
}

function answerOk(_req: IncomingMessage, res: ServerResponse): void {
  res.end('ok')
}

/** Notes what the sockets to a port are told about keep-alive and delays. */
function noteSocketOptions(port: number): { given: unknown[]; restore: () => void } {
  // oxlint-disable-next-line typescript/unbound-method
  const { setNoDelay, setKeepAlive } = Socket.prototype
  const given: unknown[] = []
  Socket.prototype.setNoDelay = function (...args) {
    if (this.remotePort === port) given.push(...args)
    return setNoDelay.apply(this, args)
  }
  Socket.prototype.setKeepAlive = function (this: Socket, ...args: [boolean, number]) {
    if (this.remotePort === port) given.push(...args)
    return setKeepAlive.apply(this, args)
  }
  return { given, restore: () => void Object.assign(Socket.prototype, { setNoDelay, setKeepAlive }) }
}

describe("passthroughProxy's built-in client", () => {
  before(function () {
    needsOwnClient(this, 'a dispatcher has a pool and a close() of its own')
  })
  afterEach(closeServers)

  describe('with connect', () => {
    it('trusts a private authority, presents its own certificate, and asks for a server by another name', async () => {
      const asked: unknown[] = []
      const server = https.createServer(
        { key, cert: certificate, requestCert: true, ca: certificate },
        (req, res) => {
          const { servername, authorized } = req.socket as TLSSocket & { servername: string }
          asked.push([servername, authorized, req.headers.host])
          res.end('trusted')
        },
      )
      const { port } = await listen(server)
      const connect = { ca: certificate, cert: certificate, key, servername: 'localhost' }
      expect(await askedFor(`https://127.0.0.1:${port}`, { connect })).to.deep.equal({
        status: 200,
        text: 'trusted',
      })
      expect(asked).to.deep.equal([['localhost', true, `127.0.0.1:${port}`]])
      expect((await askedFor(`https://127.0.0.1:${port}`, {})).status).to.equal(502)
      expect(asked).to.have.length(1)
    })

    it('takes an option that is undefined for one that is not given', async () => {
      const asked: unknown[] = []
      const server = https.createServer({ key, cert: certificate }, (req, res) => {
        asked.push((req.socket as TLSSocket & { servername: unknown }).servername)
        res.end('ok')
      })
      const { port } = await listen(server)
      const connect = { ca: certificate, family: 4, servername: undefined, checkServerIdentity: undefined }
      expect((await askedFor(`https://localhost:${port}`, { connect })).status).to.equal(200)
      expect(asked).to.deep.equal(['localhost'])
    })

    for (const scheme of ['http', 'https'] as const) {
      for (const [what, connect, expected] of [
        ['without options', {}, [true, true, 60_000]],
        ['with a delay', { keepAliveInitialDelay: 10_000 }, [true, true, 10_000]],
        ['switched off', { noDelay: false, keepAlive: false }, [false, false, 60_000]],
      ] as const) {
        it(`sets TCP keep-alive and noDelay, ${what} (${scheme})`, async () => {
          const tls = { key, cert: certificate }
          const server = scheme === 'http' ? http.createServer(answerOk) : https.createServer(tls, answerOk)
          const { port } = await listen(server)
          const { given, restore } = noteSocketOptions(port)
          try {
            const options = { connect: { ca: certificate, family: 4, ...connect } }
            expect((await askedFor(`${scheme}://localhost:${port}`, options)).status).to.equal(200)
          } finally {
            restore()
          }
          expect(given).to.deep.equal(expected)
        })
      }
    }

    it('ignores later changes to lists, objects and bytes in its options', async () => {
      const server = https.createServer(
        { key, cert: certificate, ca: certificate, requestCert: true, rejectUnauthorized: false },
        (req, res) => res.end(String((req.socket as TLSSocket).authorized)),
      )
      const { port } = await listen(server)
      const ca = [Buffer.from(certificate)]
      const own = { pem: Buffer.from(key) }
      const connect = { ca, cert: certificate, key: [own] as unknown as Buffer[], family: 4 }
      const proxy = passthroughProxy(`https://localhost:${port}`, { connect })
      own.pem.fill(0)
      own.pem = Buffer.from('another')
      ca.length = 0
      const client = await clientOf(proxy)
      client.request('GET', '/')
      expect((await client.response()).body.toString()).to.equal('true')
      client.destroy()
    })

    it('reaches a server at a Unix socket', async () => {
      const socketPath = path.join(mkdtempSync(path.join(tmpdir(), 'sluiceway-')), 'socket')
      const server = createServer((req, res) => res.end(`${req.headers.host} ${req.url}`)).listen(socketPath)
      await once(server, 'listening')
      const got = await askedFor('http://api.test/v1', { connect: { socketPath } })
      expect(got).to.deep.equal({ status: 200, text: 'api.test /v1/' })
      server.close()
    })
  })

  describe('with maxResponseHeadBytes', () => {
    const cookies = `Set-Cookie: a=${'x'.repeat(4000)}\r\n`.repeat(15)

    it('accepts 60 KB of cookies by default, and refuses a head of more than 64 KB', async () => {
      for (const [more, status] of [
        ['', 200],
        [`X: ${'x'.repeat(6000)}\r\n`, 502],
      ] as const) {
        const { exchange } = await proxied()
        const { response } = await exchange('GET / HTTP/1.1\r\nHost: a\r\n\r\n', answer('ok', cookies + more))
        expect(response.status).to.equal(status)
        if (status === 200) expect(response.headers['set-cookie']).to.have.length(15)
      }
    })

    it('refuses a larger head with 502, and cuts a response with larger trailers', async () => {
      const { exchange, errors } = await proxied({ maxResponseHeadBytes: '32kb' })
      const { response } = await exchange('GET / HTTP/1.1\r\nHost: a\r\n\r\n', answer('ok', cookies))
      expect(response.status).to.equal(502)
      expect(errors[0]).to.include({
        code: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
        message: withEntry(
          'the headers of the upstream are too large',
          'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
        ),
      })
      const other = await proxied({ maxResponseHeadBytes: '32kb' })
      other.client.request('GET', '/')
      const connection = await other.upstream.connection()
      connection.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${cookies}\r\n`)
      await other.client.closed()
      expect(other.errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE')
    })
  })

  describe('close()', () => {
    it('ends idle connections, refuses further requests, and lets requests in progress finish', async () => {
      const upstream = await scriptedUpstream()
      const proxy = passthroughProxy(upstream.url)
      const [first, second, third] = [await clientOf(proxy), await clientOf(proxy), await clientOf(proxy)]
      first.request('GET', '/')
      const idle = await upstream.connection()
      await idle.untilText('\r\n\r\n')
      second.request('GET', '/')
      const busy = await upstream.connection()
      await busy.untilText('\r\n\r\n')
      idle.write(answer('first'))
      await first.response()
      void proxy.close()
      void proxy.close()
      await idle.closed()
      third.request('GET', '/')
      expect((await third.response()).status).to.equal(502)
      busy.write(answer('second'))
      expect((await second.response()).body.toString()).to.equal('second')
      await busy.closed()
      expect(upstream.accepted).to.equal(2)
      for (const client of [first, second, third]) client.destroy()
    })

    it('leaves the connections of equal proxies open', async () => {
      const upstream = await serve((_req, res) => res.end('ok'))
      const [closed, open] = [passthroughProxy(upstream.url), passthroughProxy(upstream.url)]
      const client = await clientOf(open)
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(200)
      void closed.close()
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(200)
      client.destroy()
    })
  })

  describe('its connections', () => {
    it('are shared by proxies whose connection options are equal', async () => {
      const upstream = await serve((_req, res) => res.end('ok'))
      for (const options of [{}, { path: () => '/other' }, { onResponse: () => {} }, { connect: {} }]) {
        expect((await askedFor(upstream.url, options)).status).to.equal(200)
      }
      // An empty object is a choice of its own.
      expect(upstream.connections).to.have.length(2)
    })

    it('serve only one client after a login has gone over them, and end with it', async () => {
      const upstream = await scriptedUpstream()
      const proxy = passthroughProxy(upstream.url)
      const [alice, bob] = [await clientOf(proxy), await clientOf(proxy)]
      alice.request('GET', '/', { Authorization: 'NTLM TlRMTVNTUAABAAAA' })
      const hers = await upstream.connection()
      await hers.untilText('\r\n\r\n')
      hers.write(answer('hers'))
      expect((await alice.response()).body.toString()).to.equal('hers')
      bob.request('GET', '/')
      const his = await upstream.connection()
      await his.untilText('\r\n\r\n')
      his.write(answer('his'))
      expect((await bob.response()).body.toString()).to.equal('his')
      alice.request('GET', '/again')
      await hers.untilText('GET /again')
      hers.write(answer('hers'))
      expect((await alice.response()).body.toString()).to.equal('hers')
      alice.destroy()
      await hers.closed()
      bob.destroy()
    })
  })
})
