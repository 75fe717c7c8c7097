import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n'

/**
 * Answers while it has read a part of the body, and reads no further. When the client has the answer, it closes the
 * connection: @hono/node-server does so half a second after the answer to a request whose body was not read to its end.
 */
const answerAndClose: Handler = (req, res) => {
  req.once('data', () => {
    const { socket } = req
    req.on('data', () => req.pause()).pause()
    res.end('answered', () => setImmediate(() => socket.destroySoon()))
  })
}

const mounted: Record<string, readonly Handler[]> = {
  maxBytes: [maxBytes('1mb')],
  bodyCache: [bodyCache()],
  'both of them': [maxBytes('1mb'), bodyCache({ memory: 1000 })],
}

for (const { name, mount } of hosts) {
  describe(`an application that closes the connection itself while a reader is left, on ${name}`, () => {
    afterEach(closeServers)

    for (const [title, middlewares] of Object.entries(mounted)) {
      for (const [connection, wanted] of [
        ['keep-alive', 'has asked to keep it'],
        ['close', 'has asked to close it'],
      ]) {
        it(`closes it behind ${title}, if the client ${wanted}`, async () => {
          const { port, server } = await serve(mount(...middlewares, answerAndClose))
          // Otherwise Node ends the wait after five seconds.
          server.keepAliveTimeout = 0
          const client = await RawClient.connect(port)
          client.write(`${HEAD}Connection: ${connection}\r\n\r\n`, Buffer.alloc(100_000))
          expect(String((await client.response()).body)).to.equal('answered')
          await client.closed()
        })
      }
    }
  })
}
