import { createServer, type RequestListener } from 'node:http'
import { expect } from 'chai'
import { attach, bodyCache, maxBytes } from 'sluiceway'
import { message } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'

const [{ mount }] = hosts as [(typeof hosts)[0]]
const EXPECTING = message('POST / HTTP/1.1', 'Host: test', 'Expect: 100-continue', 'Content-Length: 3')
const NEXT = message('GET /next HTTP/1.1', 'Host: test')

const echo: Handler = (req, res) => {
  let body = ''
  req.on('data', (chunk) => (body += String(chunk))).on('end', () => res.end(`${req.url} ${body}`))
}
const echoLater: Handler = (req, res, next) => setImmediate(() => setImmediate(() => echo(req, res, next)))
const discard: Handler = (req, res) => void req.on('end', () => res.end(`${req.url} abc`)).resume()

async function serveAttached(app: RequestListener): Promise<RawClient> {
  const server = createServer(app)
  attach(server, app)
  return RawClient.connect((await listen(server)).port)
}

// The client does not wait: its body, and its next request, come with the head.
describe('attach with Expect: 100-continue and a body that has already arrived', () => {
  afterEach(closeServers)

  for (const [what, handlers] of [
    ['reads it later', [echoLater]],
    ['throws it away', [discard]],
    ['reads it behind bodyCache', [bodyCache({ memory: 1 }), echo]],
    ['reads it later, behind maxBytes', [maxBytes(100), echoLater]],
  ] as [string, Handler[]][]) {
    it(`serves the request after it when the app ${what}`, async () => {
      const serveNext: Handler = (req, res, next) => {
        if (req.method === 'GET') res.end(req.url)
        else next()
      }
      const client = await serveAttached(mount(serveNext, ...handlers))
      client.write(EXPECTING, 'abc', NEXT)
      const first = await client.untilText('/ abc')
      expect(first).to.not.match(/connection: close/i)
      expect(String((await client.response()).body)).to.equal('/next')
    })
  }
})
