import { once } from 'node:events'
import { type Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import express from 'express'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { collectedBytes } from '../../support/process/memory.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { exchange } from '../exchange.js'

async function nextText(stream: Readable): Promise<string> {
  const data = once(stream, 'data')
  stream.resume()
  const [chunk] = (await data) as [Buffer]
  stream.pause()
  return chunk.toString()
}

describe('bodyCache, while the body arrives', () => {
  afterEach(closeServers)

  it('gives several readers each chunk as it comes, each at its own pace', async () => {
    const { client, req, res } = await exchange()
    const first = req.bodyCache.stream()
    client.write(asChunk('one '))
    expect(await nextText(first)).to.equal('one ')
    const second = req.bodyCache.stream()
    expect(await nextText(second)).to.equal('one ')
    client.write(asChunk('two '))
    expect(await nextText(second)).to.equal('two ')
    client.write(asChunk('three'), lastChunk)
    expect(await text(req)).to.equal('one two three')
    expect([await text(first), await text(second)]).to.deep.equal(['two three', 'three'])
    res.end()
    expect((await client.response()).status).to.equal(200)
    client.destroy()
  })

  it('serves two parsers that were started at once', async () => {
    const { client, req, res } = await exchange()
    const both = Promise.all([rawBody(req.bodyCache.stream()), rawBody(req)])
    client.write(asChunk('ab'), asChunk('cd'), lastChunk)
    expect((await both).map(String)).to.deep.equal(['abcd', 'abcd'])
    res.end()
    client.destroy()
  })

  it('does not let a stopped reader hold up another', async () => {
    const { client, req, res } = await exchange()
    req.bodyCache
      .stream()
      .on('data', () => {})
      .pause()
    const megabyte = Buffer.alloc(1024 * 1024, 'x')
    client.write(Buffer.concat([asChunk(megabyte), Buffer.from(lastChunk)]))
    expect((await req.bodyCache.buffer()).equals(megabyte)).to.equal(true)
    res.end()
    client.destroy()
  })

  it('reads at most a few high-water marks of an upload without a reader', async () => {
    const { client, req, res } = await exchange()
    const block = asChunk(Buffer.alloc(1024 * 1024))
    for (let sent = 0; sent < 64; sent++) client.write(block)
    // The kernel holds the rest: the server's socket is paused, which no event tells; a round trip elsewhere passes time.
    const { url } = await serve((_req, other) => other.end())
    for (let round = 0; round < 10; round++) await (await fetch(url)).text()
    // One read of a socket is 64 KiB, the high water mark of a request from Node 22 on.
    expect(req.bodyCache.size).to.be.within(1, 2 * 64 * 1024)
    res.end()
    client.destroy()
  })

  it('rewinds for the next reader after one that stopped early', async () => {
    const { client, req, res } = await exchange()
    client.write(asChunk('first '), asChunk('second '), lastChunk)
    for await (const chunk of req) {
      expect(chunk).to.be.instanceOf(Buffer)
      break
    }
    const partial = await rawBody(req, { limit: 3 }).catch((error: { type: string }) => error.type)
    expect(partial).to.equal('entity.too.large')
    expect(String(await rawBody(req))).to.equal('first second ')
    res.end()
    expect((await client.response()).status).to.equal(200)
    client.destroy()
  })

  it('lets the answer be sent when a pipeline fails, and stays readable', async () => {
    const { client, req, res } = await exchange()
    const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })
    client.write(asChunk('abc'))
    const failure = await pipeline(req, full).catch((error: Error) => error.message)
    expect([failure, req.socket !== null, req.aborted]).to.deep.equal(['disk full', true, false])
    client.write(lastChunk)
    expect(await text(req)).to.equal('abc')
    res.statusCode = 507
    res.end()
    expect((await client.response()).status).to.equal(507)
    client.destroy()
  })

  it('fails every reader if the client leaves in the middle, and gives none a short body', async () => {
    const { client, req } = await exchange()
    const outcomes = Promise.allSettled([buffer(req.bodyCache.stream()), req.bodyCache.text(), rawBody(req)])
    client.write(asChunk('abc'))
    await once(req, 'data')
    client.destroy()
    for (const outcome of await outcomes) {
      expect(outcome.status).to.equal('rejected')
      expect((outcome as PromiseRejectedResult).reason).to.include({ status: 400, type: 'request.aborted' })
    }
    const late = await req.bodyCache.text().catch((error: { type: string }) => error.type)
    expect(late).to.equal('request.aborted')
  })

  it('tells a reader of the request once, and as Node does, if the client leaves while a stream beside it reads', async () => {
    const { client, req } = await exchange()
    const beside = buffer(req.bodyCache.stream()).catch((error: { type: string }) => error.type)
    const told: string[] = []
    req.on('aborted', () => told.push('aborted'))
    req.on('error', (error: Error & { code?: string }) => told.push(`${error.code}`))
    req.on('close', () => told.push('close'))
    client.write(asChunk('abc'))
    await once(
      req.on('data', () => {}),
      'data',
    )
    client.destroy()
    expect(await beside).to.equal('request.aborted')
    await until(() => told.includes('close'))
    expect(told).to.deep.equal(['aborted', 'ECONNRESET', 'close'])
  })

  it('gives a clear error to a reader that begins after the response', async () => {
    const { client, req, res } = await exchange()
    client.write(asChunk('abc'), lastChunk)
    await req.bodyCache.text()
    res.end()
    await once(res, 'close')
    const errors = await Promise.all([
      req.bodyCache.text().catch((error: { code: string }) => error.code),
      rawBody(req).catch((error: { code: string }) => error.code),
      text(req).catch((error: { code: string }) => error.code),
    ])
    expect(errors).to.deep.equal(Array.from({ length: 3 }, () => 'ERR_SLUICEWAY_BODY_RELEASED'))
    client.destroy()
  })

  it('stops reading for a reader that was destroyed', async () => {
    const { client, req, res } = await exchange()
    const reader = req.bodyCache.stream()
    client.write(asChunk('begin'))
    expect(await nextText(reader.resume())).to.equal('begin')
    reader.destroy()
    await once(reader, 'close')
    for (let sent = 0; sent < 16; sent++) client.write(asChunk(Buffer.alloc(1024 * 1024)))
    const { url } = await serve((_req, other) => other.end())
    for (let round = 0; round < 10; round++) await (await fetch(url)).text()
    expect(req.bodyCache.size).to.be.below(4 * 64 * 1024)
    res.end()
    client.destroy()
  })

  it('releases everything when the client leaves before the answer', async () => {
    const { client, req, res } = await exchange()
    client.write(asChunk('abc'), lastChunk)
    await req.bodyCache.text()
    client.destroy()
    await once(res, 'close')
    const late = await req.bodyCache.text().catch((error: { code: string }) => error.code)
    expect(late).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
  })

  it("emits 'close' once when the response has finished", async () => {
    const { client, req, res } = await exchange()
    client.write(asChunk('abc'), lastChunk)
    await text(req)
    let closed = 0
    req.on('close', () => {
      closed += 1
    })
    expect(closed).to.equal(0)
    res.end()
    await client.response()
    client.request('POST', '/', {}, 'next on the same connection')
    expect(closed).to.equal(1)
    client.destroy()
  })

  it('keeps no bytes of a body whose response has ended, however long its request is kept', async () => {
    const requests: unknown[] = []
    const keep: Handler = (req, res) => {
      requests.push(req)
      void rawBody(req).then(() => res.end())
    }
    const { url, connections } = await serve(hosts[0]!.mount(bodyCache(), keep))
    const before = await collectedBytes()
    for (let round = 0; round < 32; round++) {
      await (await fetch(url, { method: 'POST', body: Buffer.alloc(1024 * 1024) })).text()
    }
    expect(requests).to.have.length(32)
    expect((await collectedBytes()) - before).to.be.below(8 * 1024 * 1024)
    // Nor does the parser of an idle connection keep its last request.
    const parsers = connections.map(
      (socket) => (socket as { parser?: { incoming: unknown } }).parser?.incoming,
    )
    expect(parsers.filter(Boolean)).to.deep.equal([])
  })

  it("reports a real disconnect with 'close', after a parser has run", async () => {
    const { client, req, res } = await exchange()
    client.write(asChunk('{}'), lastChunk)
    await new Promise<void>((resolve) => {
      express.json({ type: () => true })(req, res, () => resolve())
    })
    let aborted = false
    req.on('aborted', () => {
      aborted = true
    })
    client.destroy()
    await once(req, 'close')
    expect([res.writableFinished, aborted]).to.deep.equal([false, false])
  })
})
