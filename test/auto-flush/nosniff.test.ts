import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import http from 'node:http'
import http2 from 'node:http2'
import { expect } from 'chai'
import compression from 'compression'
import { autoFlush } from 'sluiceway'
import { hosts } from '../support/express/hosts.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'

const HEADER = 'x-content-type-options'

/** Writes a stream of a type; undefined for none. */
function stream(type: string | undefined): (res: ServerResponse) => void {
  return (res) => {
    if (type !== undefined) res.setHeader('Content-Type', type)
    res.write('streamed')
    res.end()
  }
}

/** The header of the answer that `handler` gives, by autoFlush on every host. */
async function seenOn(
  handler: (res: ServerResponse) => void,
  {
    headers,
    options,
  }: { headers?: http.OutgoingHttpHeaders; options?: Parameters<typeof autoFlush>[0] } = {},
): Promise<unknown[]> {
  const seen = hosts.map(async ({ mount }) => {
    const listener = mount(compression() as never, autoFlush(options), (_req, res) => handler(res))
    const { url } = await serve(listener)
    const [response] = (await once(http.get(url, { agent: false, headers }), 'response')) as [
      http.IncomingMessage,
    ]
    await once(response.resume(), 'end')
    return response.headers[HEADER]
  })
  return [...new Set(await Promise.all(seen))]
}

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('has a browser take the type of plain text at its word', () => {
    for (const type of ['text/plain', 'text/plain; charset=utf-8', 'TEXT/PLAIN ;charset=latin1']) {
      it(`as ${type}`, async () => {
        expect(await seenOn(stream(type))).to.deep.equal(['nosniff'])
      })
    }

    for (const type of [
      undefined,
      'text/plainer',
      'text/html',
      'text/csv',
      'text/event-stream',
      'application/json',
      'application/x-ndjson',
      'application/octet-stream',
    ]) {
      it(`not as ${type ?? 'a response without a type'}`, async () => {
        expect(await seenOn(stream(type))).to.deep.equal([undefined])
      })
    }

    it('if the handler passes its headers to writeHead, in any form', async () => {
      for (const headers of [
        { 'content-type': 'text/plain' },
        ['Content-Type', 'text/plain'],
        [['Content-Type', 'text/plain']],
      ]) {
        const handler = (res: ServerResponse): void => {
          res.writeHead(200, headers as never).write('streamed')
          res.end()
        }
        expect(await seenOn(handler)).to.deep.equal(['nosniff'])
      }
    })

    it('but leaves a header of the handler alone', async () => {
      const set = (res: ServerResponse): void => stream('text/plain')(res.setHeader(HEADER, 'own'))
      expect(await seenOn(set)).to.deep.equal(['own'])
      const given = (res: ServerResponse): void => {
        res.writeHead(200, { 'Content-Type': 'text/plain', [HEADER]: 'own' }).write('streamed')
        res.end()
      }
      expect(await seenOn(given)).to.deep.equal(['own'])
    })

    it('not in a whole answer', async () => {
      const whole = (res: ServerResponse): void => void res.setHeader('Content-Type', 'text/plain')
      expect(
        await seenOn((res) => (whole(res), res.setHeader('Content-Length', 5).end('whole'))),
      ).to.deep.equal([undefined])
    })

    it('even if the header for proxies is turned off, but not if the filter refuses the stream', async () => {
      expect(await seenOn(stream('text/plain'), { options: { proxyBuffering: true } })).to.deep.equal([
        'nosniff',
      ])
      expect(await seenOn(stream('text/plain'), { options: { filter: () => false } })).to.deep.equal([
        undefined,
      ])
    })

    for (const [destination, expected] of Object.entries({
      document: 'nosniff',
      iframe: 'nosniff',
      empty: 'nosniff',
      script: undefined,
      style: undefined,
      image: undefined,
      worker: undefined,
    })) {
      it(`${expected ? '' : 'not '}for a request whose Sec-Fetch-Dest is ${destination}`, async () => {
        const headers = { 'Sec-Fetch-Dest': destination }
        expect(await seenOn(stream('text/plain'), { headers })).to.deep.equal([expected])
      })
    }

    it('over HTTP/2', async () => {
      const middleware = autoFlush()
      const server = http2.createServer((req, res) => {
        middleware(req as never, res as never, () => stream('text/plain')(res as never))
      })
      const { port } = await listen(server)
      const session = http2.connect(`http://127.0.0.1:${port}`)
      const [head] = (await once(session.request({ ':path': '/' }).resume(), 'response')) as [object]
      expect(head).to.include({ [HEADER]: 'nosniff', 'x-accel-buffering': 'no' })
      session.close()
    })
  })
})
