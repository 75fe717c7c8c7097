import { expect } from 'chai'
import onFinished from 'on-finished'
import { bodyCache, maxBytes, passthroughProxy } from 'sluiceway'

import { deferred } from '../support/deferred.js'
import { hosts, type Handler } from '../support/hosts.js'
import { RawClient } from '../support/raw-client.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.js'
import { closeServers, serve } from '../support/servers.js'

const BODY = 'a small body, \u00e9\u20ac\0'
const LENGTH = Buffer.byteLength(BODY)
const HEAD = `POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${LENGTH}\r\n\r\n`

/** The ways in which a small body may arrive: usually whole with its head, or later. */
const arrivals: Record<string, (client: RawClient, upstream: ScriptedUpstream) => Promise<RawClient>> = {
  'with its head': (client, upstream) => {
    client.write(HEAD, BODY)
    return upstream.connection()
  },
  'after its head': async (client, upstream) => {
    client.write(HEAD)
    const connection = await upstream.connection()
    client.write(BODY)
    return connection
  },
  'half with its head': async (client, upstream) => {
    client.write(HEAD, BODY.slice(0, 7))
    const connection = await upstream.connection()
    client.write(BODY.slice(7))
    return connection
  },
}

/** Code that may be mounted in front of the proxy. */
const before: Record<string, Handler> = {
  nothing: (_req, _res, next) => next(),
  'a handler that waits': (_req, _res, next) => setImmediate(next),
  maxBytes: maxBytes(LENGTH),
  bodyCache: bodyCache(),
  // What is in its buffer then is counted in characters.
  "setEncoding('utf8')": (req, _res, next) => next(void req.setEncoding('utf8')),
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy with small bodies (${name})`, () => {
    afterEach(closeServers)

    for (const [what, handler] of Object.entries(before)) {
      for (const [how, send] of Object.entries(arrivals)) {
        it(`passes on a body that comes ${how}, behind ${what}, and emits its end`, async () => {
          const upstream = await scriptedUpstream()
          const ended = deferred<unknown>()
          const listen: Handler = (req, _res, next) => {
            onFinished(req, (error) => ended.resolve(error))
            next()
          }
          const { port } = await serve(mount(handler, listen, passthroughProxy(upstream.url)))
          const client = await RawClient.connect(port)
          const connection = await send(client, upstream)
          expect(await connection.untilText('\r\n\r\n')).to.include(`content-length: ${LENGTH}\r\n`)
          expect((await connection.bytes(LENGTH)).toString()).to.equal(BODY)
          connection.write(answer())
          expect((await client.response()).body.toString()).to.equal('ok')
          expect(await ended.promise).to.equal(null)
          // Not a byte too many was sent: the next request begins where the body ends.
          client.request('GET', '/next')
          expect(await connection.untilText('\r\n\r\n')).to.match(/^GET \/next /)
          expect(upstream.accepted).to.equal(1)
        })
      }
    }
  })
}
