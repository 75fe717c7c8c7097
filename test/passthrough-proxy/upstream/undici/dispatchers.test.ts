import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import net, { type Socket } from 'node:net'
import { expect } from 'chai'
import type { PassthroughProxyOptions } from 'sluiceway'
import { asChunk, RawClient } from '../../../support/clients/raw-client.js'
import { answer, scriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../../support/servers/servers.js'
import { until } from '../../../support/time/until.js'
import { undiciVersions, type Undici } from '../../../support/undici/undici-versions.js'
import { endAll, HANDSHAKE, keep, startProxy } from './dispatchers.js'

for (const [version, load] of undiciVersions) {
  describe(`passthroughProxy with a dispatcher of ${version}`, () => {
    let undici: Undici

    before(async () => {
      undici = await load()
    })
    afterEach(endAll)

    it('keeps order, case, repeated lines, bytes and the reason of a response', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await startProxy(upstream.url, keep(new undici.Agent()))
      client.request('GET', '/a?b', { 'X-One': '1', 'x-two': '2' })
      const connection = await upstream.connection()
      const seen = await connection.untilText('\r\n\r\n')
      expect(seen)
        .to.match(/^GET \/a\?b HTTP\/1\.1\r\n/)
        .and.to.contain('X-One: 1\r\nx-two: 2\r\n')
      const lines = 'X-B: \xe9\r\nSet-Cookie: a=1\r\nx-a: 1\r\nSet-Cookie: b=2\r\nX-b: 2\r\n'
      connection.write(
        Buffer.from(`HTTP/1.1 203 So so, \xe2\x98\x83\r\n${lines}Content-Length: 2\r\n\r\nok`, 'latin1'),
      )
      const got = await client.until((bytes) =>
        bytes.includes('\r\n\r\nok') ? bytes.toString('latin1') : undefined,
      )
      expect(got)
        .to.match(/^HTTP\/1\.1 203 So so, \xe2\x98\x83\r\n/)
        .and.to.contain(lines)
    })

    it('streams a body both ways, in chunks if it came in chunks', async () => {
      const { url } = await serve((req, res) => {
        res.setHeader('X-Framing', JSON.stringify(req.headers['content-length'] ?? null))
        req.pipe(res)
      })
      const { client } = await startProxy(url, keep(new undici.Agent()))
      const large = 'x'.repeat(300_000)
      for (const [body, framing] of [
        ['with a length', '"13"'],
        [['in ', 'chunks'], 'null'],
        [large, '"300000"'],
      ] as const) {
        client.request('POST', '/', {}, body as string)
        const response = await client.response()
        expect(response.headers['x-framing']).to.deep.equal([framing])
        expect(response.body.toString()).to.equal([body].flat().join(''))
      }
    })

    it('stops reading while the client does not read, and then continues', async () => {
      const body = Buffer.alloc(32 * 1024 * 1024, 'x')
      const upstream = await scriptedUpstream()
      const { client } = await startProxy(upstream.url, keep(new undici.Agent()))
      client.socket.removeAllListeners('data').pause()
      client.request('GET', '/')
      const { socket } = await upstream.connection()
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
      socket.write(body)
      const left = await restOf(socket)
      expect(left).to.be.above(16 * 1024 * 1024)
      let received = 0
      client.socket.on('data', (chunk) => (received += chunk.length)).resume()
      await until(() => received > body.length)
      expect(socket.writableLength).to.equal(0)
    })

    it('continues if the upstream ends its connection, and the body with it, while the response is full', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await startProxy(upstream.url, keep(new undici.Agent()), { onResponse: fillAtOnce })
      client.request('GET', '/')
      const { socket } = await upstream.connection()
      const body = 'x'.repeat(100_000)
      // In one piece with its end, which undici knows of as it reads the last of it.
      socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`)
      expect((await client.response()).body.toString()).to.equal(body)
    })

    async function pass(count: number): Promise<void> {
      for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
    }

    /** Has each piece fill the response for a while, as a slow client behind compression does. */
    function fillAtOnce(_incoming: unknown, _req: unknown, res: ServerResponse): void {
      const write = res.write.bind(res) as (chunk: Buffer) => boolean
      res.write = ((chunk: Buffer) => {
        write(chunk)
        void pass(20).then(() => res.emit('drain'))
        return false
      }) as typeof res.write
    }

    it('announces no trailers of a request, because undici does not send them', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await startProxy(upstream.url, keep(new undici.Agent()))
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n')
      client.write(asChunk('ok'), '0\r\nX-Sum: 1\r\n\r\n')
      const connection = await upstream.connection()
      expect(await connection.untilText('ok\r\n0\r\n\r\n')).not.to.match(/x-sum|trailer/i)
      connection.write(answer())
      expect((await client.response()).status).to.equal(200)
    })

    /** What a socket still has to write once its peer has stopped reading. */
    async function restOf(socket: Socket): Promise<number> {
      let left = Infinity
      for (let turns = 0; turns < 500; turns++) {
        await new Promise((resolve) => setImmediate(resolve))
        if (socket.writableLength === 0 || socket.writableLength === left) continue
        left = socket.writableLength
        turns = 0
      }
      return socket.writableLength
    }

    it('passes on 103, trailers, and answers without a body', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await startProxy(upstream.url, keep(new undici.Agent({ connections: 1 })))
      client.request('GET', '/', { TE: 'trailers' })
      let connection = await upstream.connection()
      connection.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
      expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1\.1 103 [^]*link: <\/a\.css>/i)
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n')
      connection.write(asChunk('ok'), '0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n')
      expect(await client.untilText('0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n')).to.contain('Trailer: X-Sum')
      for (const status of [204, 304]) {
        client.request('GET', `/${status}`)
        while (!connection.pending.includes(`/${status} `)) {
          connection = upstream.takeNew()[0] ?? connection
          await new Promise((resolve) => setImmediate(resolve))
        }
        connection.write(`HTTP/1.1 ${status} Any\r\nContent-Length: 5\r\n\r\n`)
        expect((await client.response()).status).to.equal(status)
      }
    })

    it('ends the upstream request when the client leaves', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await startProxy(upstream.url, keep(new undici.Agent()))
      client.request('GET', '/')
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      await client.untilText('half')
      client.destroy()
      await connection.closed()
    })

    it('sends no request for a client that has left the queue, and keeps the connection', async () => {
      const upstream = await scriptedUpstream()
      const { client, port } = await startProxy(upstream.url, keep(new undici.Agent({ connections: 1 })))
      client.request('GET', '/running')
      const connection = await upstream.connection()
      await connection.untilText('/running')
      const leaving = await RawClient.connect(port)
      leaving.request('GET', '/leaves')
      const other = await RawClient.connect(port)
      other.request('GET', '/other')
      leaving.socket.end()
      await leaving.closed()
      connection.write(answer())
      await client.response()
      expect(await connection.untilText('GET /other')).not.to.contain('/leaves')
      connection.write(answer())
      expect((await other.response()).status).to.equal(200)
      expect(upstream.accepted).to.equal(1)
    })

    it('cuts the client off when the upstream dies within its answer', async () => {
      const upstream = await scriptedUpstream()
      const { client, errors } = await startProxy(upstream.url, keep(new undici.Agent()))
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('half'))
      await client.untilText('half')
      connection.socket.resetAndDestroy()
      await client.closed()
      expect(client.pending.toString()).not.to.contain('0\r\n\r\n')
      expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_RESET'])
    })

    it('gives an error that names the line that undici refuses to send, or the response that it refuses to read', async () => {
      const upstream = await scriptedUpstream()
      const onRequest: PassthroughProxyOptions['onRequest'] = ({ headers, path }) => {
        if (path === '/bad') headers.set('Transfer-Encoding', 'chunked')
      }
      const { client, errors } = await startProxy(upstream.url, keep(new undici.Agent()), { onRequest })
      client.request('GET', '/bad')
      expect((await client.response()).status).to.equal(500)
      client.request('GET', '/')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n')
      expect((await client.response()).status).to.equal(502)
      expect(errors.map(({ code }) => code)).to.deep.equal([
        'ERR_SLUICEWAY_PROXY_HOOK',
        'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
      ])
    })

    it('tunnels an upgrade, with early bytes', async () => {
      const upstream = await scriptedUpstream()
      const { client } = await startProxy(upstream.url, keep(new undici.Agent()))
      client.write(`GET / HTTP/1.1\r\nHost: test\r\n${HANDSHAKE}\r\n`)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Case: 1\r\n\r\nearly',
      )
      expect(await client.untilText('early')).to.match(/^HTTP\/1\.1 101 [^]*X-Case: 1\r\n/)
      client.write('late')
      await connection.untilText('late')
      client.destroy()
    })

    it('works with a MockAgent', async () => {
      const dispatcher = new undici.MockAgent()
      dispatcher.disableNetConnect()
      dispatcher
        .get('http://api.example')
        .intercept({ path: '/asked', method: 'POST' })
        .reply(201, 'mocked', { headers: { 'X-Mock': 'yes', 'Set-Cookie': ['a=1', 'b=2'] } })
      const { client } = await startProxy('http://api.example', dispatcher)
      client.request('POST', '/asked', {}, 'body')
      const { status, headers, body } = await client.response()
      expect([status, body.toString()]).to.deep.equal([201, 'mocked'])
      expect(headers['x-mock']).to.deep.equal(['yes'])
      expect(headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
      await dispatcher.close()
    })

    it('works with a ProxyAgent', async () => {
      const { url } = await serve((req, res) => req.pipe(res))
      const seen: (string | undefined)[] = []
      const tunnels = createServer().on('connect', (req: IncomingMessage, client: Socket) => {
        seen.push(req.url)
        const { hostname, port } = new URL(`http://${req.url}`)
        const upstream = net.connect(Number(port), hostname, () => {
          client.write('HTTP/1.1 200 Connected\r\n\r\n')
          client.pipe(upstream).pipe(client)
        })
        for (const socket of [client, upstream]) socket.on('error', () => {})
      })
      const proxy = keep(new undici.ProxyAgent({ uri: (await listen(tunnels)).url, proxyTunnel: true }))
      const { client } = await startProxy(url, proxy)
      client.request('POST', '/', {}, 'through')
      expect((await client.response()).body.toString()).to.equal('through')
      expect(seen).to.deep.equal([new URL(url).host])
    })

    it("sends Node's phrase if a ProxyAgent without a tunnel loses that of the upstream", async () => {
      const { url } = await serve((_req, res) => res.writeHead(404, 'Gone fishing').end())
      const { client } = await startProxy(url, keep(new undici.ProxyAgent({ uri: url, proxyTunnel: false })))
      client.request('GET', '/')
      // undici 8 does not lose it.
      const expected = version === 'undici 7' ? 'Not Found' : 'Gone fishing'
      expect((await client.response()).reason).to.equal(expected)
    })

    it('keeps an empty phrase of the upstream', async () => {
      const { url } = await serve((_req, res) => res.writeHead(200, '').end())
      const { client } = await startProxy(url, keep(new undici.Agent()))
      client.request('GET', '/')
      expect((await client.response()).reason).to.equal('')
    })

    it('continues with a BalancedPool if one of its upstreams is down', async () => {
      const gone = await serve(() => {})
      await closeServers()
      const { url } = await serve((_req, res) => res.end('alive'))
      const { client } = await startProxy('http://balanced', keep(new undici.BalancedPool([gone.url, url])))
      for (let n = 0; n < 4; n++) {
        client.request('GET', '/')
        expect((await client.response()).body.toString()).to.equal('alive')
      }
    })
  })
}
