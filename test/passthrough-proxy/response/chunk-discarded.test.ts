import { request, type IncomingMessage, type RequestListener } from 'node:http'
import { expect } from 'chai'
import { maxBytes } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { closeServers, serve } from '../../support/servers/servers.js'

const body = Buffer.alloc(900_000, 'body')

/** Sends the body, and returns the status of the answer. */
async function send(listener: RequestListener): Promise<number | undefined> {
  const { port } = await serve(listener)
  const headers = { 'Content-Length': body.length }
  return new Promise((resolve, reject) => {
    const sending = request({ port, method: 'POST', agent: false, headers })
    sending.on('error', reject).on('response', (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode))
    })
    sending.end(body)
  })
}

/** Replaces `push` for one chunk at a time: the replacement removes itself as it is called. */
function seeEach(req: IncomingMessage, see: (chunk: Buffer) => void): void {
  // It is called with the request as `this`.
  // oxlint-disable-next-line typescript/unbound-method
  const { push } = req
  req.push = (chunk: Buffer | null) => {
    if (chunk !== null) see(chunk)
    req.push = push
    const wantsMore = push.call(req, chunk)
    if (chunk !== null) seeEach(req, see)
    return wantsMore
  }
}

// Each of these chunks became empty in the hands of the code that held it.
describe('the chunks of a body that is thrown away', () => {
  let kept: Buffer[]
  beforeEach(() => (kept = []))
  afterEach(closeServers)

  function expectIntact(): void {
    expect(kept).to.have.length.above(0)
    expect(kept.map(({ length }) => length)).not.to.include(0)
  }

  it('stay as they are for a push that removes itself as it is called', async () => {
    const refuse = maxBytes({ limit: 1000, lingerBytes: '1gb', lingerMs: 60_000 })
    const status = await send((req, res) => {
      refuse(req, res, () => res.writeHead(413).end())
      seeEach(req, (chunk) => kept.push(chunk))
    })
    expect(status).to.equal(413)
    expectIntact()
  })

  it('stay as they are for a reader that pushes one again after the body was refused', async () => {
    const [high, low] = [maxBytes('1mb'), maxBytes(10)]
    const { port } = await serve((req, res) => {
      high(req, res, () => {})
      // From here on the chunks of this connection are noted.
      if (req.url === '/unread') {
        res.end()
        return
      }
      req.on('error', () => {})
      req.on('data', (chunk: Buffer) => {
        // The first one may have waited in the request.
        if (kept.push(chunk) !== 3) return
        low(req, res, () => {})
        req.push(chunk)
        setImmediate(() => res.headersSent || res.writeHead(413).end())
      })
    })
    const client = await RawClient.connect(port)
    client.write('POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
    await client.response()
    client.write(Buffer.alloc(100_000))
    client.request('POST', '/', {}, body)
    expect((await client.response()).status).to.equal(413)
    client.destroy()
    expectIntact()
  })
})
