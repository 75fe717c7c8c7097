import { once } from 'node:events'
import http2, { type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'

// Express does not support HTTP/2 requests; bare http does.
const { mount } = hosts[0]!
const POST = { ':method': 'POST' }

describe('a request over HTTP/2 that is answered', () => {
  let session: ClientHttp2Session
  afterEach(() => session.destroy())
  afterEach(closeServers)

  async function connect(...handlers: readonly Handler[]): Promise<void> {
    const { port } = await listen(http2.createServer(mount(...handlers) as never) as never)
    session = http2.connect(`http://127.0.0.1:${port}`)
  }

  for (const [name, behind] of [
    ['maxBytes', [maxBytes('1mb')]],
    ['maxBytes and bodyCache', [maxBytes('1mb'), bodyCache()]],
  ] as const) {
    for (const [length, headers] of [
      ['an unknown length', POST],
      ['a Content-Length', { ...POST, 'content-length': 4 }],
    ] as const) {
      it(`ends without an error if nobody has read its body of ${length}: behind ${name}`, async () => {
        const heard: string[] = []
        const ended = deferred()
        await connect(...behind, (req, res) => {
          for (const event of ['end', 'error'] as const)
            req.on(event, () => ended.resolve(void heard.push(event)))
          res.end('unread')
        })
        const stream = session.request(headers)
        stream.end('body')
        expect(await text(stream)).to.equal('unread')
        await ended.promise
        await turns(5)
        expect(heard).to.deep.equal(['end'])
      })
    }

    for (const [what, isOfStream] of [
      ['the stream itself', true],
      ['the request, and answers through the stream', false],
    ] as const) {
      it(`leaves the rest of its body to code that reads ${what}: behind ${name}`, async () => {
        const read = deferred<unknown>()
        await connect(...behind, (req, res) => {
          const { stream } = res as unknown as http2.Http2ServerResponse
          void text(isOfStream ? stream : req).then(read.resolve, read.resolve)
          stream.respond({ ':status': 202 })
          stream.end('early')
        })
        const stream = session.request(POST)
        stream.write('first ')
        const [{ ':status': status }] = (await once(stream, 'response')) as [IncomingHttpHeaders]
        await once(stream.resume(), 'end')
        // The middleware decides within these turns, before the rest is sent.
        await turns(20)
        stream.end('last')
        expect([status, await read.promise]).to.deep.equal([202, 'first last'])
      })
    }
  }
})
