import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { exchange, postOverHttp2 } from '../exchange.js'

/** Ways to read the body that do not listen to the request itself. */
const readings: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  'an iterator': (req) => text(req),
  fetch: (req) => new Response(req as never).text(),
  'Readable.from': (req) => text(Readable.from(req)),
  'a pipeline into a function': (req) =>
    pipeline(req, (source: AsyncIterable<Buffer>) => text(Readable.from(source))),
  'req.bodyCache.buffer()': (req) => req.bodyCache.buffer(),
  'req.bodyCache.stream()': (req) => text(req.bodyCache.stream()),
}

const waits: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  "once(req, 'end')": (req) => once(req, 'end'),
  'finished(req)': (req) => finished(req),
}

/** Larger than what a web stream buffers. */
const PART = Buffer.alloc(100_000, 97)

const loops: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  'reads all of it': (req) => text(req),
  'leaves it': async (req) => {
    for await (const _chunk of req) break
  },
}

function failing(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done(new Error('full')) })
}

const givingUp: Readonly<Record<string, (req: IncomingMessage) => Promise<unknown>>> = {
  'of the request': () => Promise.resolve(),
  'after a reader that gave up before it': (req) => pipeline(req, failing()).catch(() => undefined),
}

/** Starts to wait and then reads, and answers when both are over. */
function both(
  wait: (req: IncomingMessage) => Promise<unknown>,
  read: (req: IncomingMessage) => Promise<unknown>,
): Handler {
  return async (req, res) => {
    const over = wait(req)
    await Promise.all([over, read(req)])
    // The next reader gets the body as if it were the first.
    res.end(await text(req))
  }
}

describe('the end of a request whose body bodyCache gives beside it', () => {
  afterEach(closeServers)

  for (const [reader, read] of Object.entries(readings)) {
    for (const [waiter, wait] of Object.entries(waits)) {
      for (const { name, mount } of hosts) {
        it(`is heard by ${waiter}, with ${reader}, on ${name}`, async () => {
          const { url } = await serve(mount(bodyCache(), both(wait, read)))
          const answer = await fetch(url, { method: 'POST', body: 'abc' })
          expect(await answer.text()).to.equal('abc')
        })
      }

      it(`is heard by ${waiter}, with ${reader}, over HTTP/2`, async () => {
        expect(await postOverHttp2(both(wait, read), 'abc')).to.equal('abc')
      })
    }
  }

  it('is heard over HTTP/2 by finished() that is called after it', async () => {
    const handler: Handler = async (req, res) => {
      await text(req)
      await finished(req)
      res.end(await text(req))
    }
    expect(await postOverHttp2(handler, 'abc')).to.equal('abc')
  })

  it('is not heard by a reader of the request, which has an end of its own', async () => {
    const handler: Handler = async (req, res) => {
      const heard: string[] = []
      req.on('data', (chunk) => heard.push(String(chunk))).pause()
      req.on('end', () => res.end(heard.join('')))
      await req.bodyCache.buffer()
      setImmediate(() => req.resume())
    }
    const { url } = await serve(hosts[0]!.mount(bodyCache(), handler))
    const answer = await fetch(url, { method: 'POST', body: 'abc' })
    expect(await answer.text()).to.equal('abc')
  })

  const leaving: Handler = async (req, res) => {
    const end = once(req, 'end')
    for await (const _chunk of req) break
    await end
    res.end(await text(req))
  }

  for (const { name, mount } of hosts) {
    it(`is heard by a promise of it whose loop has left the body, on ${name}`, async () => {
      const { url } = await serve(mount(bodyCache(), leaving))
      const answer = await fetch(url, { method: 'POST', body: PART })
      expect((await answer.text()).length).to.equal(PART.length)
    })
  }

  it('is heard over HTTP/2 by a promise of it whose loop has left the body', async () => {
    expect(await postOverHttp2(leaving, 'abc')).to.equal('abc')
  })

  it('is that of the next reader for a promise whose loop has left the body', async () => {
    const { client, req, res } = await exchange()
    const end = once(req, 'end')
    client.write(asChunk('abc'))
    for await (const _chunk of req) break
    const next = once(req, 'data')
    client.write(asChunk('def'), lastChunk)
    expect(String((await next)[0])).to.equal('abc')
    await end
    expect(await text(req)).to.equal('abcdef')
    res.end()
    client.destroy()
  })

  for (const [how, read] of Object.entries(loops)) {
    it(`is not heard by a slower web stream of the request while a loop ${how}`, async () => {
      const { client, req, res } = await exchange()
      const web = Readable.toWeb(req)
      client.write(asChunk(PART), asChunk(PART), lastChunk)
      await read(req)
      // Code that waits for 'close' is told two ticks later.
      await nextTurn()
      expect((await text(web)).length).to.equal(2 * PART.length)
      res.end()
      client.destroy()
    })
  }

  it('is an error for a web stream of the request whose next reader gives up, and for nothing else', async () => {
    const { client, req, res } = await exchange()
    const web = text(Readable.toWeb(req)).catch(({ message }: Error) => message)
    client.write(asChunk('abc'))
    await once(req, 'data')
    const failed = pipeline(req, failing()).catch(() => undefined)
    client.write(asChunk('def'))
    await failed
    expect(await web).to.equal('full')
    client.write(asChunk('ghi'), lastChunk)
    expect(await text(req)).to.equal('abcdefghi')
    res.end()
    client.destroy()
  })

  for (const [when, giveUp] of Object.entries(givingUp)) {
    it(`does not hide an exception of an earlier listener ${when}`, async () => {
      const { client, req, res } = await exchange()
      const failure = Object.assign(new Error('mine'), { code: 'ERR_INVALID_STATE' })
      const got: string[] = []
      client.write(asChunk('abc'))
      await giveUp(req)
      req.on('data', (chunk) => {
        got.push(String(chunk))
        if (got.length === 2) throw failure
      })
      await once(req, 'data')
      const other = text(Readable.toWeb(req))
      await nextTurn()
      // As the parser does.
      expect(() => req.push(Buffer.from('def'))).to.throw(failure)
      client.write(lastChunk)
      expect(await other).to.equal('abcdef')
      res.end()
      client.destroy()
    })
  }

  it("is Node's own error for a loop over a request whose client leaves", async () => {
    const failure = deferred<unknown>()
    const handler: Handler = async (req) => {
      for await (const _chunk of req) client.destroy()
    }
    const report: Handler = (req, res, next) =>
      void (handler(req, res, next) as Promise<void>).catch(failure.resolve)
    const { port } = await serve(hosts[0]!.mount(bodyCache(), report))
    const client = await RawClient.connect(port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345')
    expect(await failure.promise).to.include({ code: 'ECONNRESET', message: 'aborted' })
  })
})
