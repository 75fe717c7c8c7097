import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { parsers } from '../../../trials/matrix/parsers.js'
import { streams } from '../../../trials/matrix/streams.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { stops } from './stops.js'

/** Node warns of the eleventh listener for one event. */
const MANY = 12

const readers = [...streams, ...parsers].filter(
  ({ finds, kinds }) => finds === 'digest' && kinds === undefined,
)
const readings: Readonly<Record<string, Handler>> = {
  ...Object.fromEntries(
    readers.map(({ name, read }): [string, Handler] => [name, (req, res) => read(req, res, '')]),
  ),
  ...Object.fromEntries(stops),
}

/** The most that two readings leave for one event: two pipelines. */
const MOST = 6

function mostListeners(req: IncomingMessage): number {
  return Math.max(...req.eventNames().map((event) => req.listenerCount(event)))
}

describe('a request that was read many times', () => {
  afterEach(closeServers)

  for (const [name, read] of Object.entries(readings)) {
    it(`has no more listeners than two readings leave, read by ${name}`, async () => {
      const headers = { 'content-type': 'text/plain' }
      const counts: number[] = []
      const { url } = await serve(
        hosts[0]!.mount(bodyCache(), async (req, res, next) => {
          for (let i = 0; i < MANY; i += 1) {
            await read(req, res, next)
            await new Promise(setImmediate)
            counts.push(mostListeners(req))
          }
          res.end()
        }),
      )
      await (await fetch(url, { method: 'POST', headers, body: 'x'.repeat(1000) })).text()
      expect(Math.max(...counts)).to.be.at.most(MOST)
      expect(counts).to.have.length(MANY)
    })
  }

  it("still emits 'aborted' for a reset over HTTP/2, which may follow the body", async () => {
    const server = http2.createServer()
    const { port } = await listen(server as never)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':method': 'POST' })
    stream.on('error', () => {}).end('body')
    const [req, res] = (await once(server, 'request')) as [IncomingMessage, never]
    const aborted = once(req, 'aborted')
    await new Promise<unknown>((resolve) => {
      bodyCache()(req, res, resolve)
    })
    expect(await readByListeners(req)).to.equal('body')
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await aborted
    session.destroy()
  })
})

async function readByListeners(req: IncomingMessage): Promise<string> {
  let read = ''
  req.on('data', (chunk: Buffer) => (read += String(chunk)))
  await once(req, 'end')
  return read
}
