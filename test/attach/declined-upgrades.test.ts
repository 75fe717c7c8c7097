import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { kinds, message, transports, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, type TestServer } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { answersTo, app, bytesOf } from './sequences.js'

describe('attach with messages after an upgrade that it declines', () => {
  let server: TestServer
  let client: RawClient

  afterEach(closeServers)

  it('loses no message after a large body that is read slowly', async () => {
    server = await transports[0]!.serve((req, res) => {
      let length = 0
      req.on('data', (chunk: Buffer) => {
        length += chunk.length
        req.pause()
        setImmediate(() => req.resume())
      })
      req.on('end', () => res.end(`${req.url} ${length}`))
    })
    client = await RawClient.connect(server.port)
    const upload = message(
      'POST /1 HTTP/1.1',
      'Host: test',
      'Connection: Upgrade',
      'Upgrade: h2c',
      'Content-Length: 400000',
    )
    client.write(upload, Buffer.alloc(400_000), message('GET /2 HTTP/1.1', 'Host: test'))
    for (const answer of ['/1 400000', '/2 0'])
      expect(String((await client.response()).body)).to.equal(answer)
  })

  for (const { name, serve: serveWith, connect } of transports) {
    it(`loses no message after a declined upgrade while the connection is paused (${name})`, async () => {
      const pausing = deferred()
      server = await serveWith((req, res) => {
        req.socket.once('pause', pausing.resolve)
        res.end(req.url === '/large' ? Buffer.alloc(2_000_000) : req.url)
      })
      client = await connect(server.port)
      client.socket.pause()
      const [large, last] = ['/large', '/last'].map((path) => message(`GET ${path} HTTP/1.1`, 'Host: test'))
      client.write(large!, large!, kinds['h2c']!('/h2c'), last!)
      await pausing.promise
      client.socket.resume()
      for (let count = 0; count < 2; count++)
        expect((await client.response()).body.length).to.equal(2_000_000)
      for (const path of ['/h2c', '/last']) expect(String((await client.response()).body)).to.equal(path)
    })
  }

  for (const { name, serve: serveWith, connect } of transports) {
    for (const [what, behind] of [
      ['behind a declined upgrade', [kinds['h2c']!('/h2c'), kinds['slow']!('/last')]],
      ['without an upgrade', [kinds['slow']!('/last')]],
    ] as const) {
      it(`leaves no listener on a connection that was paused ${what} (${name})`, async () => {
        const counts: number[] = []
        const pausing = deferred<Socket>()
        server = await serveWith((req, res) => {
          const { socket } = req
          counts.push(socket.listenerCount('resume'))
          socket.once('pause', () => pausing.resolve(socket))
          res.end(req.url === '/large' ? Buffer.alloc(2_000_000) : req.url)
        })
        client = await connect(server.port)
        client.socket.pause()
        const large = message('GET /large HTTP/1.1', 'Host: test')
        client.write(large, large, ...behind)
        const socket = await pausing.promise
        client.socket.resume()
        for (let count = 0; count < 2 + behind.length; count++) await client.response()
        expect(socket.listenerCount('resume')).to.equal(counts[0])
      })
    }
  }

  it('serves no message behind it on a connection that the app destroys as soon as it is no longer paused', async () => {
    const seen: unknown[] = []
    server = await transports[0]!.serve(({ url, socket }, res) => {
      seen.push(url)
      res.once('finish', () => void (socket.isPaused() || socket.destroy()))
      res.end(url === '/large' ? Buffer.alloc(2_000_000) : url)
    })
    client = await RawClient.connect(server.port)
    const [large, last] = ['/large', '/last'].map((path) => message(`GET ${path} HTTP/1.1`, 'Host: test'))
    client.write(large!, large!, kinds['h2c']!('/h2c'), last!)
    await client.closed()
    expect(seen).to.deep.equal(['/large', '/large', '/h2c'])
  })

  it('leaves no listener on a connection whose upgrade has waited for an answer', async () => {
    server = await transports[0]!.serve(({ socket }, res) => {
      const counts = socket.eventNames().map((event) => [String(event), socket.listenerCount(event)])
      setImmediate(() => res.end(JSON.stringify(Object.fromEntries(counts))))
    })
    const answers: unknown[] = []
    for (const before of ['', message('GET / HTTP/1.1', 'Host: test')]) {
      client = await RawClient.connect(server.port)
      client.write(before, upgradeTo('websocket'))
      if (before !== '') await client.response()
      answers.push(JSON.parse(String((await client.response()).body)))
    }
    expect(answers[1]).to.deep.equal(answers[0])
  })

  it('loses no message without closing the connection when TLS delivers more to a paused connection', async () => {
    const [https] = transports.slice(1)
    const large = message('GET /large HTTP/1.1', 'Host: test')
    for (const rest of ['', message('GET /rest HTTP/1.1', 'Host: test')]) {
      const pausing = deferred()
      const seen: unknown[] = []
      server = await https!.serve((req, res) => {
        seen.push(req.url)
        req.socket.once('pause', pausing.resolve)
        res.end(req.url === '/large' ? Buffer.alloc(2_000_000) : req.url)
      })
      client = await https!.connect(server.port)
      client.socket.pause()
      client.write(large, large, kinds['h2c']!('/h2c'), rest)
      client.write(message('POST /last HTTP/1.1', 'Host: test', 'Content-Length: 50'))
      await pausing.promise
      client.socket.resume()
      client.write(message('GET /smuggled HTTP/1.1', 'Host: test').padEnd(50))
      const { isClosed } = await answersTo(client, rest === '' ? 4 : 5)
      expect(isClosed || seen.includes('/last')).to.equal(true)
      expect(seen).not.to.include('/smuggled')
      client.destroy()
    }
  })

  it('loses no message after an upgrade that the server itself declines', async function askedServer() {
    const own = createServer(app)
    if (!('shouldUpgradeCallback' in own)) this.skip()
    own.shouldUpgradeCallback = () => false
    attach(own, app)
    client = await RawClient.connect((await listen(own)).port)
    client.write(bytesOf(['websocket', 'slow']).join(''))
    expect((await answersTo(client, 2)).answers).to.deep.equal(['/websocket?0 ', '/slow?1 '])
  })

  it('keeps a connection open for fifty such upgrades, and leaves no listener on its socket', async () => {
    server = await transports[0]!.serve(app)
    client = await RawClient.connect(server.port)
    const count = (): number[] =>
      ['error', 'end', 'close', 'data', 'drain'].map((event) => server.connections[0]!.listenerCount(event))
    const counts: number[][] = []
    for (let round = 0; round < 50; round++) {
      client.write(round % 2 === 0 ? kinds['h2c']!('/h2c') : kinds['length']!('/length'))
      expect((await client.response()).status).to.equal(200)
      counts.push(count())
    }
    expect(counts.at(-1)).to.deep.equal(counts[0])
  })

  it('answers the first of them and closes the connection when the application itself reads the socket', async () => {
    const seen: (string | undefined)[] = []
    const own = createServer((req, res) => {
      seen.push(req.url)
      res.end()
    })
    attach(own, app)
    own.on('connection', (socket: Socket) => socket.on('data', () => {}))
    client = await RawClient.connect((await listen(own)).port)
    client.write(upgradeTo('h2c', '/1'), message('POST /2 HTTP/1.1', 'Host: test', 'Content-Length: 40'))
    client.write(message('GET /3 HTTP/1.1', 'Host: test'))
    expect((await client.response()).headers['connection']).to.deep.equal(['close'])
    await client.closed()
    expect(seen).to.deep.equal(['/1'])
  })

  it('closes the connection when the application starts listening to its socket in between', async () => {
    const seen: (string | undefined)[] = []
    server = await transports[0]!.serve((req, res) => {
      seen.push(req.url)
      req.socket.on('data', () => {})
      req.resume().on('end', () => res.end())
    })
    client = await RawClient.connect(server.port)
    client.write(kinds['length']!('/1').slice(0, -10))
    await new Promise((resolve) => server.connections[0]!.once('newListener', resolve))
    client.write(
      kinds['length']!('/1').slice(-10),
      message('POST /2 HTTP/1.1', 'Host: test', 'Content-Length: 40'),
    )
    expect((await client.response()).status).to.equal(200)
    client.write(message('GET /3 HTTP/1.1', 'Host: test'))
    await client.closed()
    expect(seen).to.deep.equal(['/1'])
  })
})
