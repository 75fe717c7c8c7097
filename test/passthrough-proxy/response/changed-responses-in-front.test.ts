import http2, { type ClientHttp2Session } from 'node:http2'
import zlib from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import { autoFlush, passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { codings, StreamingClient } from '../../support/clients/streaming-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { observing } from '../../support/observed.js'
import { proxied, request } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { happened } from '../../support/time/waiting.js'
import { transformOf, upperCase, upperCases } from '../hook-bodies/transforms.js'

const chunked = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy changes a response behind other middlewares (${name})`, () => {
    const observer = observing()
    afterEach(closeServers)

    for (const coding of codings) {
      for (const [kind, create] of upperCases) {
        it(`through ${kind}, behind compression in ${coding}, chunk by chunk`, async () => {
          const upstream = await scriptedUpstream()
          const app = express().use(
            compression({ threshold: 0 }),
            passthroughProxy(upstream.url, {
              onResponse: (incoming) => void incoming.decode().pipeThrough(create()),
            }),
          )
          const { url } = await serve(app)
          const getting = StreamingClient.get(url, coding)
          const connection = await upstream.connection()
          const gzip = zlib.createGzip()
          gzip.on('data', (chunk: Buffer) => connection.write(asChunk(chunk)))
          connection.write(chunked.replace('\r\n\r\n', '\r\nContent-Encoding: gzip\r\n\r\n'))
          for (const word of ['one', 'two']) {
            gzip.write(word)
            gzip.flush()
            await (await getting).received(word.toUpperCase())
          }
          gzip.on('end', () => connection.write(lastChunk)).end()
          expect(await (await getting).ended()).to.equal('ONETWO')
        })
      }
    }

    it('passes a large body through compression at the pace of its client', async () => {
      const body = Array.from({ length: 300_000 }, (_, n) => `line ${n} of many\n`).join('')
      const upstream = await serve((_req, res) => void res.setHeader('Content-Type', 'text/plain').end(body))
      const app = express().use(
        compression(),
        passthroughProxy(upstream.url, { onResponse: (incoming) => void incoming.pipeThrough(upperCase()) }),
      )
      const client = await StreamingClient.get((await serve(app)).url, 'gzip')
      expect((await client.ended()) === body.toUpperCase()).to.equal(true)
    })

    it('cuts a compressed answer off if its transform fails', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(
        compression({ threshold: 0 }),
        passthroughProxy(upstream.url, {
          onResponse: (incoming) =>
            void incoming.pipeThrough(
              transformOf((chunk, done) => done(chunk.includes('bad') ? new Error('bad') : null, chunk)),
            ),
        }),
        (_error: unknown, _req: unknown, _res: unknown, _next: unknown) => {},
      )
      const getting = StreamingClient.get((await serve(app)).url, 'gzip')
      const connection = await upstream.connection()
      connection.write(chunked + String(asChunk('good')))
      const client = await getting
      await client.received('good')
      const cut = happened('the response', client.response, 'aborted')
      connection.write(asChunk('bad'))
      await cut
      expect(client.response.complete).to.equal(false)
    })

    it('leaves heartbeats and the flushing to autoFlush', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(
        autoFlush({ heartbeatMs: 20 }),
        passthroughProxy(upstream.url, { onResponse: (incoming) => void incoming.pipeThrough(upperCase()) }),
      )
      const getting = StreamingClient.get((await serve(app)).url)
      const connection = await upstream.connection()
      connection.write(chunked.replace('text/plain', 'text/event-stream') + String(asChunk('data: one\n\n')))
      const client = await getting
      await client.received('DATA: ONE\n\n')
      await client.received(':')
      client.leave()
      await connection.closed()
    })

    it('reports one outcome, when the changed body has ended, and the bytes of the upstream', async () => {
      const { exchange, errors } = await proxied({
        express,
        onResponse: (incoming) => void incoming.replace('changed'),
      })
      const messages = observer.messages('tracing:sluiceway:proxy:asyncEnd')
      await exchange(request('GET', '/'), answer('body'))
      expect(messages).to.have.length(1)
      expect(messages[0]).to.include({ outcome: 'answered', status: 200, responseBytes: 4 })
      expect(errors).to.deep.equal([])
    })
  })
}

describe('passthroughProxy changes a response behind an HTTP/2 server', () => {
  let session: ClientHttp2Session
  let upstream: ScriptedUpstream
  let errors: SluicewayError[]
  afterEach(async () => {
    session.destroy()
    await closeServers()
  })

  async function connect(options: PassthroughProxyOptions): Promise<void> {
    upstream = await scriptedUpstream()
    errors = []
    const proxy = passthroughProxy(upstream.url, options)
    const server = http2.createServer((req, res) => {
      proxy(req as never, res as never, (error?: unknown) => {
        errors.push(error as SluicewayError)
        res.writeHead((error as SluicewayError).status).end()
      })
    })
    const { port } = await listen(server as never)
    session = http2.connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
  }

  for (const [kind, create] of upperCases) {
    it(`through ${kind}, chunk by chunk, with trailers`, async () => {
      await connect({ onResponse: (incoming) => void incoming.pipeThrough(create()) })
      const stream = session.request({ ':path': '/' })
      let text = ''
      stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (const word of ['one', 'two']) {
        connection.write(asChunk(word))
        while (!text.endsWith(word.toUpperCase())) await happened('the stream', stream, 'data')
      }
      const trailers = happened('the stream', stream, 'trailers')
      connection.write('0\r\nX-Sum: 1\r\n\r\n')
      expect((await trailers)[0]).to.include({ 'x-sum': '1' })
    })
  }

  it('with a new body and its length', async () => {
    await connect({ onResponse: (incoming) => void incoming.replace('new') })
    const stream = session.request({ ':path': '/' })
    const responded = happened('the stream', stream, 'response')
    ;(await upstream.connection()).write(answer('old'))
    expect((await responded)[0]).to.include({ 'content-length': '3' })
    stream.resume()
    await happened('the stream', stream, 'end')
  })

  it('resets the stream if a transform fails', async () => {
    await connect({
      onResponse: (incoming) =>
        void incoming.pipeThrough(
          transformOf((chunk, done) => done(chunk.includes('bad') ? new Error('bad') : null, chunk)),
        ),
    })
    const stream = session.request({ ':path': '/' })
    const connection = await upstream.connection()
    connection.write(chunked + String(asChunk('good')))
    await happened('the stream', stream, 'data')
    const failed = happened('the stream', stream, 'error')
    connection.write(asChunk('bad'))
    await failed.catch((error: Error) => expect(error).to.include({ code: 'ERR_HTTP2_STREAM_ERROR' }))
    expect(errors[0]).to.include({ code: 'ERR_SLUICEWAY_PROXY_HOOK' })
  })

  it('ends the upstream when the client resets the stream', async () => {
    await connect({ onResponse: (incoming) => void incoming.pipeThrough(upperCase()) })
    const stream = session.request({ ':path': '/' })
    const connection = await upstream.connection()
    connection.write(chunked + String(asChunk('good')))
    await happened('the stream', stream, 'data')
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await connection.closed()
  })
})
