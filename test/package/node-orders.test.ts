import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { pipeline, Readable, Writable } from 'node:stream'
import { expect } from 'chai'
import { frameClient } from '../support/clients/http2-frames.js'
import { RawClient } from '../support/clients/raw-client.js'
import { readText } from '../support/repository/repository.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { waitFor } from '../support/time/waiting.js'

type Exchange = [IncomingMessage, ServerResponse]

const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde'
const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: b\r\n\r\n'

function sink(write: (done: (error?: Error) => void) => void = (done) => done()): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => write(done) })
}

describe('the events and orders that lib/node/README.md relies on', () => {
  let client: RawClient

  /** Sends `bytes` to a server and returns the first exchange that they make. */
  async function exchange(bytes: string): Promise<Exchange> {
    const { server, port } = await serve(() => {})
    const arrived = once(server, 'request')
    client = await RawClient.connect(port)
    client.write(bytes)
    return (await arrived) as Exchange
  }

  afterEach(() => client?.destroy())
  afterEach(closeServers)

  it("the server's own 'finish' listener hands the connection over to the next request", async () => {
    const [, res] = await exchange(POST)
    const sockets: unknown[] = []
    res.prependListener('finish', () => sockets.push(res.socket))
    res.on('finish', () => sockets.push(res.socket))
    const { socket } = res
    res.end()
    await once(res, 'finish')
    expect(socket).to.not.equal(null)
    expect(sockets).to.deep.equal([socket, null])
  })

  it('the parser copies each piece of a body into memory of its own', async () => {
    const { server, port } = await serve(() => {})
    const arrived = once(server, 'request')
    client = await RawClient.connect(port)
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n${'a'.repeat(15_000)}`)
    const [req] = (await arrived) as Exchange
    const read: Buffer[] = []
    // Also where the socket's own reads are heard, and the parser is given them.
    req.socket.on('data', (chunk: Buffer) => read.push(chunk))
    const [first] = (await once(req, 'data')) as [Buffer]
    client.write('b'.repeat(15_000))
    const [second] = (await once(req, 'data')) as [Buffer]
    for (const { byteOffset, byteLength, buffer } of [first, second]) {
      expect([byteOffset, buffer.byteLength]).to.deep.equal([0, byteLength])
    }
    expect(new Set([first, second, ...read].map(({ buffer }) => buffer))).to.have.length(read.length + 2)
  })

  it('a chunk that comes while a request flows, and holds nothing, is emitted before `push` returns', async () => {
    const [req] = await exchange('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabcde')
    const seen: string[] = []
    const push = req.push.bind(req)
    req.push = (chunk: unknown) => {
      const wantsMore = push(chunk)
      seen.push('pushed')
      return wantsMore
    }
    req.on('data', (chunk: Buffer) => seen.push(String(chunk)))
    await once(req, 'data')
    client.write('fghi')
    await once(req, 'end')
    expect(seen.slice(seen.indexOf('fghi'))).to.deep.equal(['fghi', 'pushed', 'pushed'])
  })

  it("a response that waited for its turn emits 'socket' when its turn comes", async () => {
    const responses: ServerResponse[] = []
    const { port } = await serve((_req, res) => responses.push(res))
    client = await RawClient.connect(port)
    client.write(POST + POST)
    while (responses.length < 2) await new Promise(setImmediate)
    const [first, second] = responses as [ServerResponse, ServerResponse]
    expect(second.socket).to.equal(null)
    const turn = once(second, 'socket')
    first.end()
    expect(await turn).to.deep.equal([second.socket])
  })

  it("a stream emits 'end' again to its next reader if its state says that it has not", async () => {
    const source = new Readable({ read: () => {}, autoDestroy: false })
    const state = Reflect.get(source, '_readableState') as { endEmitted: boolean }
    const takeBack = (): void => {
      state.endEmitted = false
    }
    source.on('end', takeBack)
    source.push(null)
    const first = once(source, 'end')
    source.resume()
    await first
    await new Promise(setImmediate)
    source.off('end', takeBack)
    Object.assign(source, { readableFlowing: null })
    source.unshift('late')
    let received = ''
    const again = once(source, 'end')
    source.on('data', (chunk) => (received += String(chunk)))
    await waitFor("'end' to come again", again)
    expect(received).to.equal('late')
  })

  it("'unpipe' with hasUnpiped: false removes the listeners of a pipe", () => {
    const source = new Readable({ read: () => {} })
    const destination = sink()
    const before = destination.eventNames()
    source.pipe(destination)
    destination.emit('unpipe', source, { hasUnpiped: false })
    expect(destination.eventNames()).to.deep.equal(before)
    expect([source.listenerCount('data'), source.listenerCount('end')]).to.deep.equal([0, 0])
    expect(source.isPaused()).to.equal(false)
  })

  it("a pipe has one listener for 'end', which 'unpipe' removes, and which does nothing to a destination that is to stay open once its pipe was removed", () => {
    const ended = [true, false].map((end) => {
      const source = new Readable({ read: () => {} })
      const destination = sink()
      source.pipe(destination, { end })
      const [onEnd, ...further] = source.listeners('end')
      expect(further).to.deep.equal([])
      source.unpipe(destination)
      expect(source.listenerCount('end')).to.equal(0)
      onEnd!.call(source)
      return destination.writableEnded
    })
    expect(ended).to.deep.equal([true, false])
  })

  it("'resume' comes before the data that flows", async () => {
    const [req] = await exchange(POST)
    const events: string[] = []
    req.on('resume', () => events.push('resume'))
    req.on('data', () => events.push('data'))
    await once(req, 'end')
    expect(events).to.deep.equal(['resume', 'data'])
  })

  it('stream internals take the socket from a request before they destroy it', async () => {
    const [req] = await exchange(POST)
    const destroyed = new Promise((resolve) => {
      req.destroy = () => {
        resolve(req.socket)
        return req
      }
    })
    const full = sink((done) => done(new Error('disk full')))
    pipeline(req, full, () => {})
    expect(await destroyed).to.equal(null)
  })

  it('the parser stops after each message with Upgrade, and reports how many bytes it took', async () => {
    const { server, port } = await serve((_req, res) => res.end())
    const taken = new Promise((resolve) => {
      server.on('connection', ({ parser }: { parser: Record<number, unknown> }) => {
        const { kOnExecute } = parser.constructor as unknown as { kOnExecute: number }
        parser[kOnExecute] = resolve
      })
    })
    client = await RawClient.connect(port)
    client.write(`${UPGRADE}GET / HTTP/1.1\r\n\r\n`)
    expect(await taken).to.equal(UPGRADE.length)
  })

  it("a request that was read closes two ticks after its 'end', in the state that it has by then", async () => {
    const [req] = await exchange(POST)
    const state = (): Record<string, unknown> =>
      (req as unknown as { _readableState: Record<string, unknown> })._readableState
    const seen: unknown[] = []
    const look = (): void =>
      void seen.push([state()['destroyed'], state()['closed'], state()['closeEmitted']])
    req.resume().once('end', () => {
      process.nextTick(() => {
        look()
        process.nextTick(() => {
          look()
          process.nextTick(look)
        })
      })
    })
    await once(req, 'close')
    while (seen.length < 3) await new Promise(setImmediate)
    // Up to Node 24 the marks come one tick later than in Node 26; the last of them at the third look at the latest.
    expect(seen[0]).to.deep.include.members([true, false])
    expect(seen[2]).to.deep.equal([true, true, true])
  })

  it("`once(emitter, 'close')` of `node:events` listens with a function named `resolver`", async () => {
    const emitter = new EventEmitter()
    const closed = once(emitter, 'close')
    expect(emitter.listeners('close').map(({ name }) => name)).to.deep.equal(['resolver'])
    emitter.emit('close')
    await closed
  })

  it('a stream of HTTP/2 has one listener for `data`, named `onStreamData`, from the first reading of its request on', async () => {
    const server = http2.createServer()
    const { port } = await listen(server as never)
    const { session, stream } = await frameClient(port)
    const [req] = (await once(server, 'request')) as [http2.Http2ServerRequest]
    const names = (): string[] => req.stream.listeners('data').map(({ name }) => name)
    expect(names()).to.deep.equal([])
    stream.write('body')
    await once(req, 'data')
    expect(names()).to.deep.equal(['onStreamData'])
    session.destroy()
  })

  it("a stream of HTTP/2 whose client resets it without an error emits 'aborted' if its response has not ended, and 'end' once its body was read; its `state` is then idle", async () => {
    for (const [hasEnded, events] of [
      [false, ['aborted', 'end']],
      [true, ['end']],
    ] as const) {
      const server = http2.createServer()
      const { port } = await listen(server as never)
      const { session, stream, reset } = await frameClient(port)
      const [req, res] = (await once(server, 'request')) as [
        http2.Http2ServerRequest,
        http2.Http2ServerResponse,
      ]
      const seen: string[] = []
      for (const event of ['aborted', 'end']) req.stream.on(event, () => seen.push(event))
      // More than its client takes.
      if (hasEnded) res.end(Buffer.alloc(1_000_000))
      else res.write(Buffer.alloc(1_000_000))
      await once(stream, 'response')
      const ended = once(req.stream, 'end')
      reset(http2.constants.NGHTTP2_NO_ERROR)
      await ended
      expect(seen).to.deep.equal(events)
      expect(req.stream.closed).to.equal(true)
      // Node 26 destroys it, and then its state is empty.
      await new Promise(setImmediate)
      expect([http2.constants.NGHTTP2_STREAM_STATE_IDLE, undefined]).to.include(req.stream.state.state)
      session.destroy()
    }
  })

  it('are all listed there, and each has a test here, or in library-orders.test.ts', () => {
    const [, table = ''] = readText('lib/node/README.md').split('| event or order | used in | without it |\n')
    const rows = table.split('\n\n')[0]!.split('\n').slice(1)
    const named = rows.map((row) => row.split('|')[1]!.trim().replaceAll('`', ''))
    expect(named).to.have.length.above(10)
    const tests = ['node', 'library'].map((of) => readText(`test/package/${of}-orders.test.ts`)).join('')
    expect(named.filter((words) => !tests.replaceAll('`', '').includes(words))).to.deep.equal([])
  })
})
