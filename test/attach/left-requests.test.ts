import { IncomingMessage, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import { cut, transports, upgradeTo } from '../support/clients/pipelined.js'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'

const UPGRADE = upgradeTo('websocket', '/')

/** Notes what happens to a request, as an app does that cleans up behind it. */
function noteTo(events: string[]): (req: IncomingMessage, res: ServerResponse) => void {
  return (req) => {
    for (const event of ['aborted', 'end', 'close']) req.on(event, () => events.push(event))
    events.push('called')
  }
}

for (const { name, serve, connect } of transports) {
  describe(`the request of an upgrade that attach sends through the app (${name})`, () => {
    afterEach(closeServers)

    it('is aborted and closes if its client leaves before the answer', async () => {
      const events: string[] = []
      const { port } = await serve(noteTo(events))
      const client = await connect(port)
      client.write(UPGRADE)
      await until(() => events.length > 0)
      cut(client)
      await until(() => events.includes('close'))
      expect(events).to.deep.equal(['called', 'aborted', 'close'])
    })

    it('ends and closes with its answer', async () => {
      const events: string[] = []
      const note = noteTo(events)
      const { port } = await serve((req, res) => {
        note(req, res)
        res.end('no')
      })
      const client = await connect(port)
      client.write(UPGRADE)
      expect((await client.response()).body.toString()).to.equal('no')
      await client.closed()
      await until(() => events.includes('close'))
      expect(events).to.deep.equal(['called', 'end', 'close'])
    })

    for (const isAnswered of [false, true]) {
      it(`has a signal that tells ${isAnswered ? 'nothing after' : 'if its client leaves before'} the answer`, async function () {
        if (!('signal' in IncomingMessage.prototype)) this.skip()
        const told = deferred<boolean>()
        let isCalled = false
        const { port } = await serve((req, res) => {
          const { signal } = req as IncomingMessage & { readonly signal: AbortSignal }
          req.socket.once('close', () => told.resolve(signal.aborted))
          isCalled = true
          if (isAnswered) res.end('no')
        })
        const client = await connect(port)
        client.write(UPGRADE)
        await until(() => isCalled)
        if (isAnswered) await client.closed()
        else cut(client)
        expect(await told.promise).to.equal(!isAnswered)
      })
    }
  })
}
