import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import { attach } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { closeServers, listen } from '../support/servers/servers.js'

const HEAD = ['Host: a', 'Content-Length: 2', 'Expect: 100-continue'].join('\r\n')

describe("attach beside another 'checkContinue' listener", () => {
  afterEach(closeServers)

  for (const order of ['first', 'last']) {
    it(`leaves the requests to it: attached ${order}`, async () => {
      const calls: (string | undefined)[] = []
      const app = (req: IncomingMessage, res: ServerResponse): void => {
        calls.push(req.url)
        // Later, as behind a query: the response is in use by then.
        setImmediate(() => req.resume().once('end', () => res.end('from the app')))
      }
      const server = createServer(app)
      if (order === 'first') attach(server, app)
      server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
        if (req.url === '/refused') setImmediate(() => res.writeHead(417).end())
        else {
          res.writeContinue()
          app(req, res)
        }
      })
      if (order === 'last') attach(server, app)
      const { port } = await listen(server)

      const accepted = await RawClient.connect(port)
      accepted.write(`POST /accepted HTTP/1.1\r\n${HEAD}\r\n\r\n`)
      expect((await accepted.response()).status).to.equal(100)
      accepted.write('ab')
      expect((await accepted.response()).body.toString()).to.equal('from the app')
      const refused = await RawClient.connect(port)
      refused.write(`POST /refused HTTP/1.1\r\n${HEAD}\r\n\r\n`)
      expect((await refused.response()).status).to.equal(417)
      await refused.closed()
      expect(calls).to.deep.equal(['/accepted'])
    })
  }

  it('serves them beside one that only watches', async () => {
    let seen = 0
    const app = (_req: IncomingMessage, res: ServerResponse): void => void res.writeHead(413).end()
    const server = createServer(app)
    server.on('checkContinue', (_req: IncomingMessage) => seen++)
    attach(server, app)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(`POST / HTTP/1.1\r\n${HEAD}\r\n\r\n`)
    expect((await client.response()).status).to.equal(413)
    expect(seen).to.equal(1)
  })
})
