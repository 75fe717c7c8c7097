import http2 from 'node:http2'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, listen } from '../support/servers/servers.js'

/*
 * A client of Node that is still sending: if it read the reset together with the end of the answer, its stream never
 * emitted 'close', and kept the rest of the upload. It does close after an early answer of plain Node.
 */

const { mount } = hosts[0]!

const refuse: Handler = (_req, res) => {
  res.statusCode = 413
  res.end('too large')
}

const stacks: Record<string, readonly Handler[]> = {
  'plain Node': [refuse],
  maxBytes: [maxBytes(1000), (req) => req.resume()],
  'maxBytes, answered unread': [maxBytes('1gb'), refuse],
  bodyCache: [bodyCache(1000), (req) => req.resume()],
}

describe('A client over HTTP/2 that is still sending when it is refused', () => {
  afterEach(closeServers)

  for (const [name, stack] of Object.entries(stacks)) {
    for (const length of [undefined, 3_000_000]) {
      it(`sees its stream close behind ${name}, ${length === undefined ? 'without' : 'with'} a length`, async () => {
        const { port } = await listen(http2.createServer(mount(...stack) as never) as never)
        const session = http2.connect(`http://127.0.0.1:${port}`)
        const stream = session.request({ ':method': 'POST', ...(length && { 'content-length': length }) })
        const events: string[] = []
        stream.on('response', (head) => events.push(String(head[':status'])))
        const closed = new Promise((resolve) => stream.on('close', resolve))
        stream.resume().end(Buffer.alloc(3_000_000))
        await closed
        expect(events).to.deep.equal(['413'])
        expect(stream.rstCode).to.equal(0)
        session.destroy()
      })
    }
  }
})
