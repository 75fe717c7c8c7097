import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { PassThrough } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import { attach, autoFlush, pipeChild } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { observing } from '../support/observed.js'
import { attached } from '../support/servers/attached.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

const upgrade = (path: string, token = 'websocket'): string =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: ${token}\r\n\r\n`

for (const { name, mount } of hosts) {
  describe(`messages about responses and children, on ${name}`, () => {
    const observer = observing()
    afterEach(closeServers)
    async function connect(...handlers: readonly Handler[]): Promise<RawClient> {
      const { port } = await serve(mount(...handlers))
      return RawClient.connect(port)
    }

    it('are sent once for each streamed response, and not for a whole one', async () => {
      const flushes = observer.messages('sluiceway:flush')
      const client = await connect(compression() as Handler, autoFlush(), (req, res) => {
        if (req.url === '/whole') {
          res.setHeader('Content-Length', 5)
          res.end('whole')
        } else {
          res.setHeader('Content-Type', 'text/plain')
          res.write('one')
          res.end('two')
        }
      })
      for (const [path, coding] of [
        ['/whole', 'gzip'],
        ['/plain', 'identity'],
        ['/gzip', 'gzip'],
      ] as const) {
        client.request('GET', path, { 'Accept-Encoding': coding })
        await client.response()
      }
      expect(
        flushes.map(({ req, res, isCompressed }) => [req.url, res.req === req, isCompressed]),
      ).to.deep.equal([
        ['/plain', true, false],
        ['/gzip', true, true],
      ])
    })

    it('do not say that a stream is compressed if its handler has encoded it', async () => {
      const flushes = observer.messages('sluiceway:flush')
      const client = await connect(autoFlush(), (_req, res) => {
        res.setHeader('Content-Encoding', 'gzip')
        res.write(gzipSync('one'))
        res.end()
      })
      client.request('GET', '/encoded')
      await client.response()
      expect(flushes.map(({ isCompressed }) => isCompressed)).to.deep.equal([false])
    })

    it('have the start and the exit of a child', async () => {
      const started = observer.messages('sluiceway:child:start')
      const exited = observer.messages('sluiceway:child:exit')
      const client = await connect((_req, res, next) => {
        pipeChild(res, spawn('sh', ['-c', 'echo x; exit 3'])).catch(next)
      })
      client.request('GET', '/run')
      await client.response()
      await until(() => exited.length)
      expect(started.map(({ req }) => req.url)).to.deep.equal(['/run'])
      const [{ child, code, signal, isClientGone, error, durationMs } = {} as never] = exited
      expect({ code, signal, isClientGone, error }).to.deep.equal({
        code: 3,
        signal: null,
        isClientGone: false,
        error: undefined,
      })
      expect(child).to.equal(started[0]!.child)
      expect(durationMs).to.be.above(0)
    })

    it('have a child whose client leaves', async () => {
      const exited = observer.messages('sluiceway:child:exit')
      const client = await connect((_req, res, next) => {
        pipeChild(res, spawn('sh', ['-c', 'echo x; sleep 60'], { detached: true })).catch(next)
      })
      client.request('GET', '/')
      await client.untilText('x\n')
      client.destroy()
      await until(() => exited.length)
      expect(exited[0]).to.include({ signal: 'SIGTERM', isClientGone: true })
    })

    it('have a child whose input fails, while its client is there', async () => {
      const exited = observer.messages('sluiceway:child:exit')
      const client = await connect((_req, res) => {
        const stdin = new PassThrough()
        pipeChild(res, spawn('cat', { detached: true }), { stdin }).catch(() => {})
        setImmediate(() => stdin.destroy(new Error('broken')))
      })
      client.request('GET', '/')
      await client.closed()
      await until(() => exited.length)
      expect(exited[0]).to.include({ isClientGone: false })
      expect(exited[0]!.error).to.have.property('message', 'broken')
    })

    it('have a child that cannot be started', async () => {
      const exited = observer.messages('sluiceway:child:exit')
      const client = await connect((_req, res) => {
        pipeChild(res, spawn('no-such-command')).catch(() => {
          res.statusCode = 404
          res.end()
        })
      })
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(404)
      expect(exited).to.have.length(1)
      expect(exited[0]).to.include({ code: null, signal: null })
      expect(exited[0]!.error).to.have.property('code', 'ENOENT')
    })

    it('have an exception that was contained', async () => {
      const contained = observer.messages('sluiceway:contained')
      const client = await connect(autoFlush({ heartbeatMs: 10 }), (_req, res) => {
        res.setHeader('Content-Type', 'text/event-stream')
        res.write('data: 1\n\n')
        res.write = () => {
          throw new Error('broken')
        }
      })
      client.request('GET', '/events')
      await client.closed()
      expect(contained.map(({ req, error }) => [req?.url, (error as Error).message])).to.deep.equal([
        ['/events', 'broken'],
      ])
    })

    it('have each upgrade and the decision about it', async () => {
      const decided = observer.messages('sluiceway:upgrade')
      const { port } = await attached(
        mount((_req, res) => {
          res.statusCode = 401
          res.end()
        }),
      )
      for (const token of ['websocket', 'h2c']) {
        const client = await RawClient.connect(port)
        client.write(upgrade('/chat', token))
        expect((await client.response()).status).to.equal(401)
        client.destroy()
      }
      expect(decided.map(({ req, upgrade: token, outcome }) => [req.url, token, outcome])).to.deep.equal([
        ['/chat', 'websocket', 'offered'],
        ['/chat', 'h2c', 'plain'],
      ])
    })
  })
}

describe('messages about upgrades', () => {
  const observer = observing()
  afterEach(closeServers)
  for (const [name, { express }] of expressVersions.map((version) => [version.name, version] as const)) {
    it(`have one that is left to the other listeners, on ${name}`, async () => {
      const decided = observer.messages('sluiceway:upgrade')
      const app = express()
      const server = createServer(app as RequestListener)
      server.on('upgrade', (_req, socket) => socket.end('HTTP/1.1 418 Mine\r\n\r\n'))
      attach(server, app as RequestListener)
      const client = await RawClient.connect((await listen(server)).port)
      client.write(upgrade('/own'))
      expect((await client.response()).status).to.equal(418)
      expect(decided.map(({ req, outcome }) => [req.url, outcome])).to.deep.equal([
        ['/own', 'offered'],
        ['/own', 'left'],
      ])
    })
  }

  it('have one that the option does not give to the app, and that no other listener can take', async () => {
    const decided = observer.messages('sluiceway:upgrade')
    const app: RequestListener = (_req, res) => res.end('plain')
    const server = createServer(app)
    attach(server, app, { upgrade: () => false })
    const client = await RawClient.connect((await listen(server)).port)
    client.write(upgrade('/other'))
    expect((await client.response()).body.toString()).to.equal('plain')
    expect(decided.map(({ upgrade: token, outcome }) => [token, outcome])).to.deep.equal([
      ['websocket', 'plain'],
    ])
  })

  it('have one whose header the app has removed before it passes it on', async () => {
    const decided = observer.messages('sluiceway:upgrade')
    const app = expressVersions[0].express().use((req, _res, next) => {
      delete req.headers.upgrade
      next()
    })
    const server = createServer(app as RequestListener)
    server.on('upgrade', (_req, socket) => socket.end('HTTP/1.1 418 Mine\r\n\r\n'))
    attach(server, app as RequestListener)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(upgrade('/own'))
    expect((await client.response()).status).to.equal(418)
    expect(decided.map(({ upgrade: token, outcome }) => [token, outcome])).to.deep.equal([
      ['websocket', 'offered'],
      ['', 'left'],
    ])
  })

  it('have one that is cut off, and the exception of an application', async () => {
    const decided = observer.messages('sluiceway:upgrade')
    const contained = observer.messages('sluiceway:contained')
    const server = createServer()
    const { port } = await listen(server)
    const client = await RawClient.connect(port)
    // A connection from before `attach` is parsed without it.
    client.request('GET', '/first')
    const [, res] = (await once(server, 'request')) as [unknown, ServerResponse]
    attach(server, () => {
      throw new Error('the application')
    })
    res.end()
    await client.response()
    client.write(upgrade('/cut', 'h2c'))
    await client.closed()
    const other = await RawClient.connect(port)
    other.write(upgrade('/throws'))
    await other.closed()
    expect(decided.map(({ req, outcome }) => [req.url, outcome])).to.deep.equal([
      ['/cut', 'cut'],
      ['/throws', 'offered'],
    ])
    expect(contained.map(({ req, error }) => [req?.url, (error as Error).message])).to.deep.equal([
      ['/throws', 'the application'],
    ])
  })
})

describe('messages about responses and children, over HTTP/2', () => {
  const observer = observing()
  afterEach(closeServers)
  it('have the same messages', async () => {
    const flushes = observer.messages('sluiceway:flush')
    const exited = observer.messages('sluiceway:child:exit')
    const app = hosts[0]!.mount(autoFlush(), (_req, res, next) => {
      pipeChild(res, spawn('sh', ['-c', 'echo x'])).catch(next)
    })
    const { port } = await listen(http2.createServer(app as never) as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':path': '/run' })
    stream.resume()
    await once(stream, 'close')
    await until(() => exited.length)
    session.destroy()
    expect(flushes.map(({ req }) => req.url)).to.deep.equal(['/run'])
    expect(exited[0]).to.include({ code: 0, isClientGone: false })
  })
})
