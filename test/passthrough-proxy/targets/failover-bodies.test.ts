import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createGzip, gunzipSync } from 'node:zlib'
import { expect } from 'chai'
import express from 'express'
import { bodyCache, maxBytes, type PassthroughProxyOptions } from 'sluiceway'
import { passthroughProxy } from 'sluiceway'
import { asChunk, RawClient } from '../../support/clients/raw-client.js'
import { attached } from '../../support/servers/attached.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { until } from '../../support/time/until.js'
import { startWatched } from '../watched.js'
import { echoingUpstream, REFUSING, type Echo } from './dead-targets.js'

/** Hooks that give a request another body, and the body that the upstream gets. */
const replacing: Readonly<
  Record<string, readonly [(attempt: number) => Readable | Buffer | string, string]>
> = {
  'a text': [(attempt) => `text ${attempt}`, 'text 2'],
  'a Buffer': [(attempt) => Buffer.from(`bytes ${attempt}`), 'bytes 2'],
  'a stream': [(attempt) => Readable.from([`stream ${attempt}`], { objectMode: false }), 'stream 2'],
}

describe('failover of requests whose hook sets the body', () => {
  afterEach(closeServers)

  for (const [what, [body, expected]] of Object.entries(replacing)) {
    for (const sent of ['small', 'large '.repeat(50_000)]) {
      it(`sends ${what} that the hook gives the second time, for ${sent.length} bytes`, async () => {
        const upstream = await echoingUpstream()
        let attempt = 0
        const { client } = await startWatched(
          express(),
          (_req, failed) => (failed === undefined ? REFUSING : upstream.url),
          {
            onRequest(outgoing) {
              outgoing.body = body((attempt += 1))
            },
          },
        )
        client.request('POST', '/', {}, sent)
        expect((JSON.parse((await client.response()).body.toString()) as Echo).body).to.equal(expected)
        client.destroy()
      })
    }
  }

  it('destroys the stream of each attempt, and does not mind if the first one fails late', async () => {
    const upstream = await echoingUpstream()
    const streams: Readable[] = []
    const { client, errors } = await startWatched(
      express(),
      (_req, failed) => (failed === undefined ? REFUSING : upstream.url),
      {
        async onRequest(outgoing) {
          const isFirst = streams.length === 0
          outgoing.body = new Readable({
            read() {
              this.push('whole')
              this.push(null)
            },
            destroy(_error, callback) {
              callback(isFirst ? new Error('closed badly') : null)
            },
          })
          streams.push(outgoing.body)
          if (!isFirst) await until(() => streams[0]?.closed)
        },
      },
    )
    client.request('POST', '/', {}, 'sent')
    expect((JSON.parse((await client.response()).body.toString()) as Echo).body).to.equal('whole')
    await until(() => streams.every(({ destroyed }) => destroyed))
    expect([streams.length, errors.length]).to.deep.equal([2, 0])
    client.destroy()
  })

  for (const [what, onRequest] of Object.entries<NonNullable<PassthroughProxyOptions['onRequest']>>({
    'pipes the body': (outgoing, req) => {
      outgoing.body = req.pipe(createGzip())
    },
    'reads the body': async (outgoing, req) => {
      outgoing.body = await text(req)
    },
  })) {
    for (const sent of ['small', 'large '.repeat(50_000)]) {
      it(`sends the next target ${sent.length} bytes if a hook ${what} that bodyCache keeps`, async () => {
        const upstream = await echoingUpstream()
        const { client } = await startWatched(
          express().use(bodyCache()),
          (_req, failed) => (failed === undefined ? REFUSING : upstream.url),
          { onRequest },
        )
        client.request('POST', '/', {}, sent)
        const { body } = JSON.parse((await client.response()).body.toString()) as Echo
        const bytes = Buffer.from(body, 'latin1')
        expect(bytes[0] === 0x1f ? gunzipSync(bytes).toString() : body).to.equal(sent)
        client.destroy()
      })

      it(`ends with the first error for ${sent.length} bytes if a hook ${what}, without bodyCache`, async () => {
        let calls = 0
        const { client, errors } = await startWatched(express(), () => `http://127.0.0.1:${(calls += 1)}`, {
          onRequest,
        })
        client.request('POST', '/', {}, sent)
        expect((await client.response()).status).to.equal(502)
        expect([calls, errors[0]?.code]).to.deep.equal([1, 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE'])
        client.destroy()
      })
    }
  }
})

describe('failover of requests whose body fails', () => {
  afterEach(closeServers)

  it('answers 413 if the body becomes too large while the next target is looked for', async () => {
    const upstream = await scriptedUpstream()
    const gone = deferred()
    const app = express().use(maxBytes(10), (_req, res, next) => {
      res.once('finish', () => gone.resolve())
      next()
    })
    const { client, errors } = await startWatched(app, async (_req, failed) => {
      if (failed === undefined) return REFUSING
      client.write(asChunk('longer than ten bytes'))
      await gone.promise
      return upstream.url
    })
    client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect((await client.response()).status).to.equal(413)
    expect([errors, upstream.accepted]).to.deep.equal([[], 0])
    client.destroy()
  })

  it('keeps the 413 of a body that is too large when the second target has it', async () => {
    const upstream = await scriptedUpstream()
    const { client } = await startWatched(express().use(maxBytes(10)), (_req, failed) =>
      failed === undefined ? REFUSING : upstream.url,
    )
    client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('ten'))
    const connection = await upstream.connection()
    await connection.untilText('ten')
    client.write(asChunk('longer than ten bytes'))
    expect((await client.response()).status).to.equal(413)
    client.destroy()
  })
})

describe('failover of upgrades', () => {
  afterEach(closeServers)

  it('opens the tunnel to the second target, with early bytes of the client', async () => {
    const upstream = await scriptedUpstream()
    const target = (_req: unknown, failed: unknown): string =>
      failed === undefined ? REFUSING : upstream.url
    const { port } = await attached(express().use(passthroughProxy(target)))
    const client = await RawClient.connect(port)
    client.write(
      'GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nearly',
    )
    const connection = await upstream.connection()
    expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/chat [^]*upgrade: websocket/i)
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
    )
    expect(await client.untilText('hello')).to.match(/^HTTP\/1.1 101 /)
    await connection.untilText('early')
    client.destroy()
    await connection.closed()
  })

  it('answers the last error to a handshake', async () => {
    const { port } = await attached(express().use(passthroughProxy(() => REFUSING)))
    const client = await RawClient.connect(port)
    client.request('GET', '/', { Connection: 'Upgrade', Upgrade: 'websocket' })
    expect((await client.response()).status).to.equal(502)
    client.destroy()
  })
})
