import { expect } from 'chai'
import { maxBytes } from 'sluiceway/max-bytes'
import { hostTurns } from '../support/express/host-turns.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'

for (const { name, mount } of hosts) {
  describe(`maxBytes on ${name}, behind a host that has read the body`, () => {
    afterEach(closeServers)

    for (const [when, turn] of Object.entries(hostTurns)) {
      it(`gives a reader its error before 'close', which comes once, ${when}`, async () => {
        const told: unknown[] = []
        const host: Handler = (req, _res, next) => {
          req.resume().on('end', () => turn(next))
        }
        const limit = maxBytes(2)
        const reader: Handler = (req, res, next) => {
          limit(req, res, (error) => {
            for (const event of ['data', 'end', 'close']) req.on(event, () => told.push(event))
            req.on('error', ({ code }: { code?: string }) => {
              told.push(code)
              setImmediate(next, error)
            })
          })
        }
        const { url } = await serve(mount(host, reader))
        const { status } = await fetch(url, { method: 'POST', body: 'abc' })
        await new Promise(setImmediate)
        expect([status, ...told]).to.deep.equal([413, 'ERR_SLUICEWAY_BODY_TOO_LARGE', 'close'])
      })
    }
  })
}
