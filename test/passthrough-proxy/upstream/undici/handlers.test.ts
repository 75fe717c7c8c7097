import { Duplex, Readable } from 'node:stream'
import { expect } from 'chai'
import { attach, passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { Agent } from 'undici'
import { RawClient } from '../../../support/clients/raw-client.js'
import { withEntry } from '../../../support/error-entry.js'
import { expressVersions } from '../../../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../../support/servers/servers.js'
import { MockedClock } from '../../../support/time/mocked-clock.js'

/** The part of undici 7's own handler interface that a dispatcher may call instead of the one that undici 8 shares. */
interface Handler7 {
  onConnect(abort: () => void): void
  onResponseStarted(): void
  onHeaders(status: number, raw: readonly string[], resume: () => void, reason: string): boolean
  onData(chunk: Buffer): boolean
  onComplete(trailers: unknown): void
  onUpgrade(status: number, raw: readonly string[] | null, socket: Duplex): void
}

interface Started {
  readonly client: RawClient
  readonly errors: SluicewayError[]
}

async function start(
  target: Parameters<typeof passthroughProxy>[0],
  options: PassthroughProxyOptions,
): Promise<Started> {
  const errors: SluicewayError[] = []
  const app = expressVersions[0].express().set('env', 'test').use(passthroughProxy(target, options))
  app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error)
    next(error)
  })
  const { port, server } = await serve(app)
  attach(server, app)
  return { client: await RawClient.connect(port), errors }
}

/** An application's own dispatcher, written for undici 7. */
function dispatcherOf(play: (handler: Handler7) => void): {
  dispatch(options: object, handler: object): boolean
} {
  return {
    dispatch(_options, handler) {
      setImmediate(() => {
        const known = handler as Handler7
        known.onConnect(() => {})
        play(known)
      })
      return true
    },
  }
}

describe('passthroughProxy and dispatchers that were written for undici 7', () => {
  afterEach(closeServers)

  it('passes on head, body and trailers', async () => {
    const dispatcher = dispatcherOf((handler) => {
      handler.onResponseStarted()
      handler.onHeaders(200, ['Transfer-Encoding', 'chunked', 'Trailer', 'X-Sum'], () => {}, 'Fine')
      handler.onData(Buffer.from('hello'))
      handler.onComplete(['X-Sum', '5'])
    })
    const { client } = await start('http://upstream', { dispatcher })
    client.request('GET', '/')
    expect(await client.untilText('X-Sum: 5\r\n\r\n')).to.match(
      /^HTTP\/1.1 200 Fine\r\n[^]*5\r\nhello\r\n0\r\n/,
    )
    client.destroy()
  })

  it('cuts an answer that begins a second time, and runs no hook for it', async () => {
    const dispatcher = dispatcherOf((handler) => {
      handler.onHeaders(200, ['Content-Length', '5'], () => {}, 'OK')
      handler.onData(Buffer.from('he'))
      handler.onHeaders(200, ['Content-Length', '5'], () => {}, 'OK')
      handler.onData(Buffer.from('hello'))
      handler.onComplete([])
    })
    let heads = 0
    const { client, errors } = await start('http://upstream', { dispatcher, onResponse: () => void heads++ })
    client.request('GET', '/')
    await client.closed()
    expect(client.pending.toString()).to.match(/\r\n\r\nhe$/)
    expect(heads).to.equal(1)
    expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_PROXY_HOOK'])
  })

  it('cuts an answer with trailers by name, which undici 7 completes too early', async () => {
    const dispatcher = dispatcherOf((handler) => {
      handler.onHeaders(200, ['Transfer-Encoding', 'chunked'], () => {}, 'OK')
      handler.onData(Buffer.from('half'))
      handler.onComplete({ 'x-sum': '5' })
    })
    const { client, errors } = await start('http://upstream', { dispatcher })
    client.request('GET', '/')
    await client.closed()
    expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
  })

  it('refuses an interim response with invalid framing', async () => {
    const dispatcher = dispatcherOf((handler) => {
      handler.onHeaders(103, ['Transfer-Encoding', 'gzip'], () => {}, 'Early Hints')
    })
    const { client, errors } = await start('http://upstream', { dispatcher })
    client.request('GET', '/')
    expect((await client.response()).status).to.equal(502)
    expect(errors.map(({ code }) => code)).to.deep.equal(['ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE'])
    expect(errors[0]?.cause).to.have.property('message', 'a transfer coding other than chunked')
    client.destroy()
  })

  it('tunnels a connection that they upgrade', async () => {
    const upstream = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, callback) {
        this.push(`heard ${chunk.toString()}`)
        callback()
      },
    })
    const dispatcher = dispatcherOf((handler) => {
      handler.onUpgrade(101, ['Connection', 'Upgrade', 'Upgrade', 'websocket'], upstream)
    })
    const { client } = await start('http://upstream', { dispatcher })
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 101 /)
    client.write('hello')
    await client.untilText('heard hello')
    client.destroy()
  })

  it('forgets origins without a waiting request, however many a target function invents', async () => {
    let asked = 0
    const target = (): string => `http://127.0.0.1:${20_000 + (asked += 1)}`
    const dispatcher = dispatcherOf((handler) => {
      handler.onHeaders(204, [], () => {}, 'No Content')
      handler.onComplete([])
    })
    const { client } = await start(target, { dispatcher })
    for (let request = 0; request < 300; request++) {
      client.request('GET', '/')
      expect((await client.response()).status).to.equal(204)
    }
    client.destroy()
  })
})

describe('passthroughProxy over a dispatcher', () => {
  const clock = new MockedClock()
  let dispatcher: Agent

  beforeEach(() => {
    dispatcher = new Agent()
  })
  afterEach(async () => {
    clock.restore()
    await dispatcher.destroy()
    await closeServers()
  })

  it('waits for the final head no longer than headersTimeoutMs, over interim responses', async () => {
    const upstream = await scriptedUpstream()
    const { client, errors } = await start(upstream.url, { dispatcher, headersTimeoutMs: 100 })
    clock.stop()
    client.request('GET', '/')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    // undici's own limit begins again with each of them.
    for (let n = 0; n < 3; n++) {
      await clock.pass(30)
      connection.write('HTTP/1.1 102 Processing\r\n\r\n')
      await client.untilText('102 Processing')
    }
    await clock.pass(10)
    await client.untilText('HTTP/1.1 504 ')
    expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT')
    client.destroy()
  })

  it('does not count the time while the client is sending', async () => {
    const upstream = await scriptedUpstream()
    const { client } = await start(upstream.url, { dispatcher, headersTimeoutMs: 50 })
    clock.stop()
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel')
    const connection = await upstream.connection()
    await connection.untilText('hel')
    connection.write('HTTP/1.1 102 Processing\r\n\r\n')
    await client.untilText('102 Processing')
    await clock.pass(150)
    client.write('lo')
    await connection.untilText('lo')
    connection.write(answer())
    await client.untilText('HTTP/1.1 200 OK')
    client.destroy()
  })

  it('accepts a megabyte of interim responses, and no more', async () => {
    const upstream = await scriptedUpstream()
    const { client, errors } = await start(upstream.url, { dispatcher })
    client.request('GET', '/')
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    const hint = `HTTP/1.1 103 Early Hints\r\nX-A: ${'a'.repeat(8000)}\r\n\r\n`
    for (let hints = 0; hints < 140; hints++) connection.write(hint)
    await client.untilText('HTTP/1.1 502 ')
    expect(errors[0]).to.include({
      code: 'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
      message: withEntry(
        'the upstream sent too many interim responses',
        'ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE',
      ),
    })
    client.destroy()
  })

  it('ends the request if the stream given by onRequest is closed before its end', async () => {
    const upstream = await scriptedUpstream()
    const body = new Readable({ read() {} })
    const { client } = await start(upstream.url, {
      dispatcher,
      onRequest(outgoing) {
        outgoing.body = body
      },
    })
    client.request('POST', '/', {}, 'body')
    body.push('part')
    const connection = await upstream.connection()
    await connection.untilText('part')
    body.destroy()
    expect((await client.response()).status).to.equal(500)
    await connection.closed()
    client.destroy()
  })

  it('blames onRequest if the stream that it gave fails', async () => {
    const upstream = await scriptedUpstream()
    const { client, errors } = await start(upstream.url, {
      dispatcher,
      onRequest(outgoing) {
        outgoing.body = Readable.from(failing())
      },
    })
    client.request('POST', '/', {}, 'body')
    expect((await client.response()).status).to.equal(500)
    expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
    client.destroy()
  })
})

async function* failing(): AsyncGenerator<Buffer> {
  yield await Promise.resolve(Buffer.from('part'))
  throw new Error('the file is gone')
}
