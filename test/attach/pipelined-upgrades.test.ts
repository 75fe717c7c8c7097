import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { attach, passthroughProxy } from 'sluiceway'
import { kinds, message, transports, upgradeTo } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen, serve, type TestServer } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

const names = Object.keys(kinds)

/** Every sequence of `length` kinds. */
function sequences(length: number): string[][] {
  if (length === 0) return [[]]
  return sequences(length - 1).flatMap((shorter) => names.map((name) => [...shorter, name]))
}

/** Answers with the path, the body, and the kind of connection that the app was given. */
async function echo(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = req.method === 'POST' ? await text(req) : ''
  if (req.url?.startsWith('/slow') === true) await new Promise((resolve) => setTimeout(resolve, 3))
  res.end(`${req.url} ${body}`)
}

function app(req: IncomingMessage, res: ServerResponse): void {
  echo(req, res).then(undefined, () => req.socket.destroy())
}

function bytesOf(sequence: readonly string[]): string[] {
  return sequence.map((kind, place) => kinds[kind]!(`/${kind}?${place}`))
}

/** All bytes that a client gets until the server closes the connection or has answered this number of messages. */
async function answersTo(
  client: RawClient,
  count: number,
): Promise<{ answers: string[]; isClosed: boolean }> {
  const answers: string[] = []
  while (answers.length < count) {
    try {
      const { status, body } = await client.response()
      if (status !== 100) answers.push(status === 200 ? String(body) : String(status))
    } catch {
      return { answers, isClosed: true }
    }
  }
  return { answers, isClosed: false }
}

const BODIES: Record<string, string> = {
  length: 'GET /smuggled HTTP/1.1\r\n\r\n!!',
  chunked: 'abc',
  expecting: 'body',
}

function answerOf(kind: string, place: number): string {
  return kind === 'noHost' ? '400' : `/${kind}?${place} ${BODIES[kind] ?? ''}`
}

/** Runs `check` for each of `items`, several at once. */
async function forEach<Item>(items: readonly Item[], check: (item: Item) => Promise<void>): Promise<void> {
  const rest = [...items]
  const next = async (): Promise<void> => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await check(item)
  }
  await Promise.all(Array.from({ length: 24 }, next))
}

for (const { name, serve: serveWith, connect } of transports) {
  describe(`attach with messages that are sent without waiting, over ${name}`, () => {
    let port: number

    beforeEach(async () => {
      ;({ port } = await serveWith(app))
    })
    afterEach(closeServers)

    /** Writes `packets`, and checks that the messages are answered in order, or the connection closes. */
    async function check(sequence: readonly string[], packets: readonly string[]): Promise<void> {
      const client = await connect(port)
      for (const packet of packets) {
        client.write(packet)
        await new Promise((resolve) => setTimeout(resolve, packets.length > 1 ? 1 : 0))
      }
      const { answers, isClosed } = await answersTo(client, sequence.length)
      const expected = sequence.map(answerOf)
      expect(answers, sequence.join(', ')).to.deep.equal(expected.slice(0, answers.length))
      expect(isClosed || answers.length === sequence.length, sequence.join(', ')).to.equal(true)
      expect(answers.length, sequence.join(', ')).to.be.at.least(1)
      client.destroy()
    }

    it('answers one to three messages of any kind in order, or closes the connection: all in one packet', async function many() {
      this.timeout(60_000)
      const all = [1, 2, ...(name === 'http' ? [3] : [])].flatMap(sequences)
      await forEach(all, (sequence) => check(sequence, [bytesOf(sequence).join('')]))
    })

    it('answers them in order, or closes the connection: each in a packet of its own', async function many() {
      this.timeout(60_000)
      await forEach([1, 2].flatMap(sequences), (sequence) => check(sequence, bytesOf(sequence)))
    })

    for (const sequence of [
      ['h2c', 'slow'],
      ['slow', 'websocket', 'slow'],
      ['slow', 'slow', 'websocket', 'slow'],
      ['slow', 'h2c', 'slow'],
      ['length', 'slow'],
      ['chunked', 'h2c'],
      ['expecting', 'slow'],
      ['slow', 'unknown', 'length'],
    ]) {
      it(`answers "${sequence.join(', ')}" wherever the bytes are cut`, async function many() {
        this.timeout(60_000)
        const bytes = bytesOf(sequence).join('')
        const cuts = Array.from(bytes, (_byte, at) => at).slice(1)
        await forEach(cuts, async (at) => {
          const client = await connect(port)
          client.write(bytes.slice(0, at))
          await new Promise((resolve) => setTimeout(resolve, 1))
          client.write(bytes.slice(at))
          const { answers } = await answersTo(client, sequence.length)
          // An upgrade that comes when the answer before it is out is taken, and the connection ends with it.
          const mayBeLast = /^\/(?:websocket|unknown)/.test(answers.at(-1)!)
          const expected = sequence.map(answerOf).slice(0, mayBeLast ? answers.length : sequence.length)
          expect(answers, `cut at ${at}`).to.deep.equal(expected)
          client.destroy()
        })
      })
    }
  })
}

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

describe('attach with a handler that takes over every upgrade request', () => {
  afterEach(closeServers)

  it('never gives the handler a connection that another response is using', async () => {
    const { port } = await transports[0]!.serve((req, res) => {
      if (req.headers.upgrade === 'websocket') req.socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
      else app(req, res)
    })
    const client = await RawClient.connect(port)
    const sequence = ['slow', 'slow', 'websocket', 'slow']
    client.write(bytesOf(sequence).join(''))
    expect((await answersTo(client, 4)).answers).to.deep.equal(sequence.map(answerOf))
    client.write(bytesOf(['slow', 'websocket']).join(''))
    expect(String((await client.response()).body)).to.equal('/slow?0 ')
    expect((await client.response()).status).to.equal(101)
  })
})

describe('attach with an upgrade whose head is too long', () => {
  afterEach(closeServers)

  it('reads at most one message from it', async () => {
    const seen: unknown[] = []
    const server = createServer((req, res) => {
      seen.push(req.url)
      res.end()
    })
    server.maxHeadersCount = 8
    attach(server, app)
    const client = await RawClient.connect((await listen(server)).port)
    const smuggled = message('GET /smuggled HTTP/1.1', 'Host: test')
    const lines = Array.from({ length: 8 }, (_line, at) => `X-${at}: a`)
    client.write(upgradeTo('h2c', '/1', ...lines, `Content-Length: ${smuggled.length}`), smuggled, smuggled)
    const { headers } = await client.response()
    expect(headers['connection']).to.deep.equal(['close'])
    await client.closed()
    expect(seen.filter((path) => path !== '/1')).to.deep.equal([])
  })
})

describe('attach and passthroughProxy with messages that are sent without waiting', () => {
  afterEach(closeServers)

  it('send the upstream at most one request for each, in order, and no upgrade except those that are tunnelled', async function many() {
    this.timeout(60_000)
    const asked: string[] = []
    const upgrades: string[] = []
    const upstream = await serve((req, res) => {
      asked.push(req.url!)
      if (req.headers.upgrade !== undefined) upgrades.push(req.url!)
      app(req, res)
    })
    upstream.server.on('upgrade', (req: IncomingMessage, socket: Socket) => {
      asked.push(req.url!)
      upgrades.push(req.url!)
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    })
    const proxy = passthroughProxy(upstream.url)
    const { port } = await transports[0]!.serve((req, res) => {
      proxy(req, res, () => res.writeHead(502).end())
    })
    const sent: string[] = []
    await forEach([1, 2].flatMap(sequences), async (sequence) => {
      const client = await RawClient.connect(port)
      const paths = sequence.map((kind, place) => `/${kind}?${place}&${sequence.join('-')}`)
      sent.push(...paths)
      client.write(sequence.map((kind, place) => kinds[kind]!(paths[place]!)).join(''))
      await answersTo(client, sequence.length)
      client.destroy()
    })
    expect(asked.filter((path) => !sent.includes(path))).to.deep.equal([])
    expect(new Set(asked).size).to.equal(asked.length)
    expect(upgrades.filter((path) => !path.startsWith('/websocket'))).to.deep.equal([])
  })
})
