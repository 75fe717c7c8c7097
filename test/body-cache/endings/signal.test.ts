import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

/*
 * `req.signal`, from Node 24.16 on, asked for only once the client has left: the state from which Node tells so had been
 * renewed for a next reader, and the signal was never aborted. A handler that asks early is told by the socket.
 */

const hasSignal = 'signal' in IncomingMessage.prototype

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'

/** A request, what its handler does with it, and whether its body has come. */
const cases: Record<string, readonly [sent: string, begin: (req: IncomingMessage) => unknown]> = {
  'a body that is cut while it is read': [`${HEAD}ab`, (req) => req.on('data', () => {})],
  'a body that is cut before it is read': [`${HEAD}ab`, () => {}],
  'a body that nobody has read': [`${HEAD}abcde`, () => {}],
  'a body that was read': [`${HEAD}abcde`, (req) => once(req.resume(), 'end')],
  'a request that was destroyed': [`${HEAD}abcde`, (req) => req.destroy()],
  'a request without a body': ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', () => {}],
}

function signalOf(req: IncomingMessage): AbortSignal {
  return (req as unknown as { signal: AbortSignal }).signal
}

for (const { name, mount } of hosts) {
  describe(`bodyCache and the signal of a request, on ${name}`, () => {
    before(function () {
      if (!hasSignal) this.skip()
    })
    afterEach(closeServers)

    for (const [kind, [sent, begin]] of Object.entries(cases)) {
      for (const isLate of [false, true]) {
        it(`tells that the client has left, of ${kind}, asked ${isLate ? 'later' : 'before'}`, async () => {
          const begun = deferred()
          const told = deferred<boolean>()
          const run: Handler = async (req) => {
            if (!isLate) signalOf(req)
            const closed = deferred()
            req.socket.once('close', () => closed.resolve())
            req.on('error', () => {})
            await begin(req)
            begun.resolve()
            await closed.promise
            await setImmediate()
            told.resolve(signalOf(req).aborted)
          }
          const { port } = await serve(mount(bodyCache(), run))
          const client = await RawClient.connect(port)
          client.write(sent)
          await begun.promise
          client.destroy()
          expect(await told.promise).to.equal(true)
        })
      }
    }

    it('does not say so of a request that was answered', async () => {
      const closed = deferred<boolean>()
      const run: Handler = (req, res) => {
        const signal = signalOf(req)
        req.socket.once('close', () => closed.resolve(signal.aborted))
        res.end('ok')
      }
      const { port } = await serve(mount(bodyCache(), run))
      const client = await RawClient.connect(port)
      client.write(`${HEAD}abcde`)
      await client.response()
      client.destroy()
      expect(await closed.promise).to.equal(false)
    })
  })
}
