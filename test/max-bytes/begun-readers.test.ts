import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { maxBytes } from 'sluiceway/max-bytes'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

/** Readers that have begun when the request is answered, and have no listener then. Each returns what it has read. */
const beginnings: Readonly<Record<string, (req: IncomingMessage) => Promise<string>>> = {
  'gives the first bytes back': async (req) => {
    const [chunk] = (await once(req, 'data')) as [Buffer]
    req.pause().unshift(chunk)
    return ''
  },
  "has waited for 'readable'": async (req) => {
    await once(req, 'readable')
    return ''
  },
  'has read some bytes': async (req) => {
    await once(req, 'readable')
    return String(req.read(2))
  },
  'has left a loop': async (req) => {
    for await (const chunk of req.iterator({ destroyOnReturn: false })) return String(chunk)
    return ''
  },
  'has removed its pipe': async (req) => {
    const piped = req.pipe(new PassThrough())
    const [chunk] = (await once(piped, 'data')) as [Buffer]
    req.unpipe(piped)
    return String(chunk)
  },
}

/** Begins to read, answers, and reads the rest when `later` is resolved. The outcome is a number of bytes, or a code. */
function answerMeanwhile(begin: (req: IncomingMessage) => Promise<string>, later: Promise<unknown>) {
  const outcome = deferred<number | string | undefined>()
  const handler: Handler = async (req, res) => {
    if (req.method === 'GET') {
      res.end('next')
      return
    }
    const first = await begin(req)
    res.end('accepted')
    await later
    const rest = await text(req).catch((error: NodeJS.ErrnoException) => error)
    outcome.resolve(rest instanceof Error ? rest.code : first.length + rest.length)
  }
  return { handler, outcome: outcome.promise }
}

async function upload(mount: (typeof hosts)[number]['mount'], handler: Handler, head: string) {
  const { port, connections } = await serve(mount(maxBytes('1gb'), handler))
  const client = await RawClient.connect(port)
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`)
  return { client, connection: connections[0]! }
}

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, for a reader that goes on after the answer`, () => {
    afterEach(closeServers)

    for (const [how, begin] of Object.entries(beginnings)) {
      for (const size of [9, 200_000]) {
        it(`gives it all of ${size} bytes if it ${how}, and keeps the connection`, async () => {
          const later = deferred()
          const { handler, outcome } = answerMeanwhile(begin, later.promise)
          const { client } = await upload(mount, handler, `Content-Length: ${size}`)
          client.write('begun')
          await client.response()
          client.write('x'.repeat(size - 'begun'.length))
          client.request('GET', '/')
          later.resolve()
          expect(await outcome).to.equal(size)
          expect((await client.response()).status).to.equal(200)
          client.destroy()
        })
      }
    }

    it('fails it if more has come than may wait for it', async () => {
      const later = deferred()
      const { handler, outcome } = answerMeanwhile(beginnings['gives the first bytes back']!, later.promise)
      const { client, connection } = await upload(mount, handler, 'Content-Length: 3000000')
      client.write('begun')
      await client.response()
      client.write('x'.repeat(3_000_000 - 'begun'.length))
      // After the answer, which announces it, our side closes only when the whole upload has come.
      await once(connection, 'close')
      later.resolve()
      expect(await outcome).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
    })

    it('gives a reader that has not begun nothing, as Node does, and not what had come', async () => {
      const later = deferred()
      const { handler, outcome } = answerMeanwhile(async () => '', later.promise)
      const { client } = await upload(mount, handler, 'Content-Length: 200000')
      client.write('x'.repeat(50_000))
      await client.response()
      later.resolve()
      client.write('x'.repeat(150_000))
      expect(await outcome).to.equal(0)
      client.destroy()
    })

    it('gives no more than the limit', async () => {
      const later = deferred()
      const { handler, outcome } = answerMeanwhile(beginnings['has left a loop']!, later.promise)
      const { port } = await serve(mount(maxBytes(100), handler))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n')
      await client.response()
      client.write(`80\r\n${'x'.repeat(0x80)}\r\n0\r\n\r\n`)
      client.request('GET', '/')
      later.resolve()
      expect(await outcome).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
      client.destroy()
    })
  })
}

describe('maxBytes over HTTP/2, for a reader that goes on after the answer', () => {
  afterEach(closeServers)

  for (const how of ['gives the first bytes back', 'has read some bytes', 'has left a loop']) {
    it(`fails it if it ${how}: the stream ends with the answer, and a part is not the whole`, async () => {
      const later = deferred()
      const { handler, outcome } = answerMeanwhile(beginnings[how]!, later.promise)
      const { port } = await listen(http2.createServer(hosts[0]!.mount(maxBytes('1gb'), handler) as never))
      const session = http2.connect(`http://127.0.0.1:${port}`)
      const sent = session.request({ ':method': 'POST' }).resume()
      sent.write(Buffer.alloc(3_000_000))
      await once(sent, 'close')
      later.resolve()
      expect(await outcome).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
      session.destroy()
    })
  }
})
