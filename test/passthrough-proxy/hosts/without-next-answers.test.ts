import { once } from 'node:events'
import http2 from 'node:http2'
import { expect } from 'chai'
import compression from 'compression'
import { maxBytes, passthroughProxy } from 'sluiceway'
import { observing } from '../../support/observed.js'
import { request } from '../../support/servers/proxied.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { REFUSING } from '../targets/dead-targets.js'
import { clientOf } from './listener-client.js'

describe('passthroughProxy without next, its answer', () => {
  const observer = observing()
  afterEach(closeServers)

  it('replaces what the application has prepared for a body, and keeps its other headers', async () => {
    const proxy = passthroughProxy(REFUSING)
    const client = await clientOf((req, res) => {
      res.statusMessage = 'Fine'
      for (const name of ['Content-Encoding', 'ETag', 'X-Own']) res.setHeader(name, 'own')
      res.setHeader('Transfer-Encoding', 'chunked')
      proxy(req, res)
    })
    client.write(request('GET', '/'))
    const { reason, headers, body } = await client.response()
    expect([reason, body.toString()]).to.deep.equal(['Bad Gateway', 'Bad Gateway'])
    expect(headers).to.not.have.any.keys('content-encoding', 'etag', 'transfer-encoding')
    expect(headers['x-own']).to.deep.equal(['own'])
    client.destroy()
  })

  it('answers through compression', async () => {
    const proxy = passthroughProxy(REFUSING)
    const compress = compression({ threshold: 0 })
    const { url } = await serve((req, res) => compress(req as never, res as never, () => proxy(req, res)))
    const answer = await fetch(url)
    expect([answer.status, await answer.text()]).to.deep.equal([502, 'Bad Gateway'])
    expect(answer.headers.get('content-encoding')).to.match(/^(?:br|gzip)$/)
  })

  it('answers 413 to a body that is larger than announced to maxBytes', async () => {
    const upstream = await scriptedUpstream()
    const limit = maxBytes(10)
    const proxy = passthroughProxy(upstream.url)
    const client = await clientOf((req, res) => limit(req, res, () => proxy(req, res)))
    client.request('POST', '/', {}, ['a body of more ', 'than 10 bytes'])
    const { status, body } = await client.response()
    expect([status, body.toString()]).to.deep.equal([413, 'Payload Too Large'])
    client.destroy()
  })

  it('leaves an answer alone that the application has begun', async () => {
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url)
    let answerFirst: (() => void) | undefined
    let answerLast: (() => void) | undefined
    const client = await clientOf((req, res) => {
      proxy(req, res)
      answerFirst = () => res.writeHead(200, { 'Content-Length': 4 }).write('my')
      answerLast = () => res.end('in')
    })
    client.write(request('GET', '/'))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    answerFirst?.()
    connection.socket.resetAndDestroy()
    await until(() => proxy.stats.requests === 0)
    answerLast?.()
    const { status, body } = await client.response()
    expect([status, body.toString()]).to.deep.equal([200, 'myin'])
    client.destroy()
  })

  for (const [given, status, retryAfter] of [
    [429, 429, ['7']],
    [299, 500, undefined],
    ['429', 500, undefined],
  ] as const) {
    it(`answers ${status} to an exception of the application with the status ${JSON.stringify(given)}`, async () => {
      const upstream = await scriptedUpstream()
      const proxy = passthroughProxy(upstream.url)
      const client = await clientOf((req, res) => {
        const writeHead = res.writeHead.bind(res)
        res.writeHead = () => {
          res.writeHead = writeHead
          throw Object.assign(new Error('secret'), { status: given, headers: { 'Retry-After': '7' } })
        }
        proxy(req, res)
      })
      client.write(request('GET', '/'))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.write('HTTP/1.1 200 OK\r\nX-Upstream: 1\r\nContent-Length: 0\r\n\r\n')
      const answered = await client.response()
      expect(answered.status).to.equal(status)
      expect(answered.headers['retry-after']).to.deep.equal(retryAfter)
      expect(answered.headers).not.to.have.property('x-upstream')
      client.destroy()
    })
  }

  it('cuts the connection, and publishes the exception, if the answer itself fails', async () => {
    const contained = observer.messages('sluiceway:contained')
    const proxy = passthroughProxy(REFUSING)
    const client = await clientOf((req, res) => {
      res.writeHead = () => {
        throw new Error('careless')
      }
      proxy(req, res)
    })
    client.write(request('GET', '/'))
    await client.closed()
    expect(client.pending.toString()).to.equal('')
    expect(contained.map(({ error }) => String(error))).to.deep.equal(['Error: careless'])
  })

  it('does nothing if the client leaves', async () => {
    const contained = observer.messages('sluiceway:contained')
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url)
    const client = await clientOf(proxy)
    client.write(request('GET', '/'))
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    client.destroy()
    await connection.closed()
    await until(() => proxy.stats.requests === 0)
    expect(contained).to.deep.equal([])
  })

  it('answers over HTTP/2, HEAD too, and resets the stream after the head', async () => {
    const upstream = await scriptedUpstream()
    const dead = passthroughProxy(REFUSING)
    const dying = passthroughProxy(upstream.url)
    const server = http2.createServer((req, res) =>
      (req.url === '/dying' ? dying : dead)(req as never, res as never),
    )
    const session = http2.connect(`http://127.0.0.1:${(await listen(server as never)).port}`)
    for (const [method, text] of [
      ['GET', 'Bad Gateway'],
      ['HEAD', ''],
    ] as const) {
      const stream = session.request({ ':method': method })
      const [head] = await once(stream, 'response')
      expect(head).to.include({ ':status': 502, 'content-type': 'text/plain; charset=utf-8' })
      expect(head).to.have.property('content-length', '11')
      expect(String(Buffer.concat(await stream.toArray()))).to.equal(text)
    }
    const stream = session.request({ ':path': '/dying' })
    const connection = await upstream.connection()
    await connection.untilText('\r\n\r\n')
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
    const answered = Promise.allSettled([once(stream, 'response'), stream.toArray()])
    stream.once('response', () => setTimeout(() => connection.socket.resetAndDestroy(), 20))
    expect((await answered)[1]).to.have.nested.property('reason.code', 'ERR_HTTP2_STREAM_ERROR')
    session.destroy()
  })
})
