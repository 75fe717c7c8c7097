import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import type { RawClient } from '../../../support/clients/raw-client.js'
import { createClient, type Upstream } from '../../../support/http1/http1-client.js'
import { ask, context, RecordingReceiver } from '../../../support/http1/upstream-receiver.js'
import { answer, type ScriptedUpstream } from '../../../support/servers/scripted-upstream.js'
import { giveEach, ofOne, turn, usedConnection } from './asked.js'

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n'

describe("upgrades with the proxy's own client", () => {
  let server: ScriptedUpstream
  let upstream: Upstream

  giveEach(ofOne, (given) => ({ server, upstream } = given))

  async function asked(
    request = {},
  ): Promise<{ got: RecordingReceiver; connection: RawClient; head: string }> {
    const got = ask(upstream, { origin: server.url, upgrade: 'websocket', ...request })
    const connection = await server.connection()
    return { got, connection, head: await connection.untilText('\r\n\r\n') }
  }

  async function upgraded(early = ''): Promise<{ got: RecordingReceiver; connection: RawClient }> {
    const { got, connection } = await asked()
    connection.write(SWITCH + early)
    await got.until('upgraded')
    return { got, connection }
  }

  it('hand the connection over, with its lines and early bytes', async () => {
    const { got, connection, head } = await asked()
    expect(head).to.contain('\r\nconnection: upgrade\r\nupgrade: websocket\r\n')
    connection.write(`HTTP/1.1 103 Early\r\n\r\n${SWITCH}early`)
    await got.until('upgraded')
    expect(got.lines).to.deep.equal(['Connection', 'Upgrade', 'Upgrade', 'websocket', 'X', 'y'])
    expect(got.early).to.equal('early')
    connection.destroy()
  })

  it('carry bytes both ways, in order', async () => {
    const { got, connection } = await upgraded()
    const tunnel = got.tunnel!
    tunnel.write('to the server')
    await connection.untilText('to the server')
    const data = Buffer.alloc(500_000, 'abcdefg')
    connection.write(data)
    const chunks: Buffer[] = []
    let length = 0
    tunnel.on('data', (chunk: Buffer) => {
      length += chunks.push(chunk) && chunk.length
      if (length > 200_000) return
      tunnel.pause()
      setImmediate(() => tunnel.resume())
    })
    while (length < data.length) await turn()
    const read = Buffer.concat(chunks)
    expect(read.equals(data)).to.equal(true)
    tunnel.destroy()
    await connection.closed()
  })

  it('keep bytes that were read before while more are read', async () => {
    const { got, connection } = await upgraded()
    connection.write('first')
    const [first] = (await once(got.tunnel!, 'data')) as [Buffer]
    connection.write('other')
    await once(got.tunnel!, 'data')
    expect(String(first)).to.equal('first')
    connection.destroy()
  })

  it('apply back-pressure both ways', async () => {
    const { got, connection } = await upgraded()
    const tunnel = got.tunnel!
    const flushed = new Promise<void>((resolve) => {
      connection.socket.write(Buffer.alloc(50_000_000), () => resolve())
    })
    for (let round = 0; round < 50; round++) await turn()
    expect(tunnel.readableLength).to.be.below(200_000)
    tunnel.resume()
    await flushed
    connection.socket.pause()
    let written = 0
    while (tunnel.write(Buffer.alloc(100_000))) written += 1
    expect(written).to.be.below(500)
    connection.socket.resume()
    await once(tunnel, 'drain')
    connection.destroy()
  })

  it('end each half separately', async () => {
    const { got, connection } = await upgraded()
    const tunnel = got.tunnel!
    tunnel.end('last')
    await connection.untilText('last')
    await connection.closed()
    connection.write('still here')
    expect(String(((await once(tunnel, 'data')) as [Buffer])[0])).to.equal('still here')
    connection.socket.end()
    await once(tunnel, 'close')

    const other = await upgraded()
    const ended = once(other.got.tunnel!, 'end')
    const data = once(other.got.tunnel!, 'data')
    other.connection.socket.end('bye')
    const [[bye]] = (await Promise.all([data, ended])) as [[Buffer], unknown]
    expect(String(bye)).to.equal('bye')
    const closed = once(other.got.tunnel!, 'close')
    other.got.tunnel!.end('and you')
    await Promise.all([closed, other.connection.untilText('and you')])
  })

  it('destroy the stream when the connection breaks', async () => {
    const { got, connection } = await upgraded()
    const broken = once(got.tunnel!, 'error')
    connection.socket.resetAndDestroy()
    expect(((await broken) as [NodeJS.ErrnoException])[0].code).to.equal('ECONNRESET')
  })

  it('fail with the error that the receiver throws, and close the connection', async () => {
    const thrown = new Error('thrown')
    const receiver = new RecordingReceiver()
    receiver.onUpgraded = () => {
      throw thrown
    }
    ask(upstream, { origin: server.url, upgrade: 'websocket' }, receiver)
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(SWITCH)
    expect(await receiver.failed()).to.include({ kind: 'malformed', maybeHeard: true, cause: thrown })
    await connection.closed()
  })

  it('free the place in the pool', async () => {
    const { connection } = await upgraded()
    const next = ask(upstream, { origin: server.url })
    const other = await server.connection()
    await other.untilText('\r\n\r\n')
    other.write(answer())
    await next.ended()
    connection.destroy()
  })

  it('go over a connection that has carried nothing, as from a client, while another one is idle', async () => {
    const two = createClient({ ...ofOne, maxConnections: 2 })
    const used = await usedConnection(two, server, server.url)
    ask(two, { origin: server.url, upgrade: 'websocket' })
    const fresh = await server.connection()
    await fresh.untilText('upgrade: websocket')
    ask(two, { origin: server.url, path: '/next' })
    await used.untilText('/next')
    two.close()
    for (const connection of [used, fresh]) connection.destroy()
  })

  it('go over the idle connection if there is no room for another one', async () => {
    const used = await usedConnection(upstream, server, server.url)
    ask(upstream, { origin: server.url, upgrade: 'websocket' })
    await used.untilText('upgrade: websocket')
    used.destroy()
  })

  it('emit the events of the stream in the context of the request', async () => {
    const got = context.run('upgrade', () => ask(upstream, { origin: server.url, upgrade: 'websocket' }))
    const connection = await server.connection()
    await connection.untilText('\r\n\r\n')
    connection.write(SWITCH)
    await got.until('upgraded')
    const seen = new Promise((resolve) => got.tunnel!.once('data', () => resolve(context.getStore())))
    await turn()
    connection.write('a')
    expect(await seen).to.equal('upgrade')
    connection.destroy()
  })

  it('accept an ordinary answer as such', async () => {
    const { got, connection } = await asked()
    connection.write('HTTP/1.1 426 Other\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno')
    expect(await got.ended()).to.include({ status: 426, body: 'no' })
    await turn()
    const next = ask(upstream, { origin: server.url })
    await connection.untilText('\r\n\r\n')
    connection.write(answer())
    await next.ended()
  })

  for (const [title, raw, request] of [
    ['another protocol', SWITCH.replace('websocket', 'h2c'), {}],
    ['no protocol', SWITCH.replace('Upgrade: websocket\r\n', ''), {}],
    ['no Connection', SWITCH.replace('Connection: Upgrade\r\n', ''), {}],
    ['a request without Upgrade', SWITCH, { upgrade: undefined }],
  ] as const) {
    it(`refuse a 101 for ${title}`, async () => {
      const { got, connection } = await asked(request)
      connection.write(raw)
      expect(await got.failed()).to.include({ kind: 'malformed', maybeHeard: true })
      await connection.closed()
    })
  }

  it('send a body, and accept the 101 only after it', async () => {
    const body = new PassThrough()
    const { got, connection } = await asked({ method: 'POST', body })
    body.end('{}')
    await connection.untilText('0\r\n\r\n')
    connection.write(SWITCH)
    await got.until('upgraded')
    connection.destroy()
    for (const unread of [new PassThrough(), 'a'.repeat(30_000_000)]) {
      const early = await asked({ method: 'POST', body: unread })
      early.connection.socket.pause()
      early.connection.write(SWITCH)
      expect(await early.got.failed()).to.include({
        kind: 'malformed',
        message: 'the upstream sent a 101 before it had read the request',
      })
    }
  })
})
