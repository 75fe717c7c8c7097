import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import net from 'node:net'
import { expect } from 'chai'
import { attach } from 'sluiceway/attach'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, listen } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'

const LENGTH = 10 * 1024 * 1024
const EXPECTING = `POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${LENGTH}\r\nExpect: 100-continue\r\n\r\n`

const hosts: readonly [string, (listener: RequestListener) => RequestListener][] = [
  ['bare http', (listener) => listener],
  ...expressVersions.map(({ name, express }): [string, (listener: RequestListener) => RequestListener] => [
    name,
    (listener) => express().use(listener),
  ]),
]

for (const [host, appOf] of hosts) {
  describe(`attach, when a client that expects a 100 begins to send without it (${host})`, () => {
    afterEach(closeServers)

    for (const status of [200, 401]) {
      it(`delivers a ${status} that is sent meanwhile, although the client writes 10 MB before it reads`, async () => {
        const { promise: asked, resolve } = deferred<ServerResponse>()
        const app = appOf((_req, res) => resolve(res))
        const server = createServer(app)
        attach(server, app)
        const socket = net
          .connect((await listen(server)).port)
          .pause()
          .on('error', () => {})
        socket.write(EXPECTING)
        const res = await asked
        let received = ''
        socket.setEncoding('latin1').on('data', (text: string) => (received += text))
        socket.pause().write(Buffer.alloc(LENGTH), () => socket.resume())
        res.writeHead(status).end('answer')
        await once(socket, 'close')
        expect(received).to.match(new RegExp(`^HTTP/1.1 ${status} [^]*Connection: close[^]*answer`))
      })
    }
  })
}
