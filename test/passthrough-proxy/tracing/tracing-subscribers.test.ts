import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy, type ProxiedRequest, type SluicewayError } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { Observer } from '../../support/observed.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const
const START = 'tracing:sluiceway:proxy:start'

/** What a subscriber may do to the message that all events share. */
const treatments: Record<string, (message: ProxiedRequest) => void> = {
  freezes: (message) => void Object.freeze(message),
  'freezes, with its head,': (message) => {
    if (message.outgoing !== undefined) Object.freeze(message.outgoing)
    Object.freeze(message)
  },
  seals: (message) => void Object.seal(message),
  empties: (message) => {
    for (const key of Object.keys(message)) Reflect.deleteProperty(message, key)
  },
  'writes over': (message) => {
    for (const key of Object.keys(message)) Reflect.set(message, key, 'other')
  },
}

for (const { name, express } of expressVersions) {
  describe(`subscribers of a proxied request (${name})`, () => {
    const store = new AsyncLocalStorage<string>()
    let observer: Observer
    let errors: SluicewayError[]
    let target: string

    beforeEach(async () => {
      observer = new Observer()
      errors = []
      const { url } = await listen(
        createServer((req, res) => (req.url === '/cut' ? req.socket.destroy() : req.pipe(res))),
      )
      target = url
    })
    afterEach(async () => {
      observer.end()
      channel(START).unbindStore(store)
      await closeServers()
    })

    async function start(path?: () => string): Promise<RawClient> {
      const app = express().set('env', 'test')
      app.use(passthroughProxy(target, { path }))
      app.use((error: SluicewayError, _req: unknown, res: ServerResponse, _next: unknown) => {
        errors.push(error)
        res.writeHead(error.status).end()
      })
      return RawClient.connect((await listen(createServer(app as RequestListener))).port)
    }

    for (const event of EVENTS) {
      for (const [what, treat] of Object.entries(treatments)) {
        it(`do nothing to it, nor to what the others hear, when one ${what} the message at ${event}`, async () => {
          observer.on(`tracing:sluiceway:proxy:${event}`, treat)
          const ends = observer.messages('tracing:sluiceway:proxy:asyncEnd')
          const client = await start()
          client.request('POST', '/x', {}, 'body')
          expect((await client.response()).body.toString()).to.equal('body')
          client.request('GET', '/cut')
          expect((await client.response()).status).to.equal(502)
          await until(() => ends.length === 2)
          expect(errors).to.have.length(1)
          client.destroy()
        })
      }
    }

    it('read their fields again, whatever one has written over them', async () => {
      observer.on('tracing:sluiceway:proxy:asyncStart', treatments['writes over']!)
      const ends = observer.messages('tracing:sluiceway:proxy:asyncEnd')
      const client = await start()
      client.request('POST', '/x', {}, 'body')
      await client.response()
      await until(() => ends.length)
      expect(ends[0]).to.include({ status: 200, responseBytes: 4, outcome: 'answered', attempts: 1 })
      client.destroy()
    })

    /** The events in their order, and the store that each has. */
    function stores(): string[] {
      const seen: string[] = []
      channel(START).bindStore(store, (message) => `store of ${(message as ProxiedRequest).req.url}`)
      for (const event of EVENTS) {
        observer.on(`tracing:sluiceway:proxy:${event}`, () => seen.push(`${event}: ${store.getStore()}`))
      }
      return seen
    }

    it('have the store that is bound to the start, at each event', async () => {
      const seen = stores()
      const client = await start()
      client.request('POST', '/x', {}, 'body')
      await client.response()
      await until(() => seen.length === 4)
      const events = ['start', 'end', 'asyncStart', 'asyncEnd']
      expect(seen).to.deep.equal(events.map((event) => `${event}: store of /x`))
      client.destroy()
    })

    it('have it if the request fails before it is sent', async () => {
      const seen = stores()
      const client = await start(() => 'no path')
      client.request('GET', '/x')
      expect((await client.response()).status).to.equal(500)
      const events = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']
      expect(seen).to.deep.equal(events.map((event) => `${event}: store of /x`))
      client.destroy()
    })
  })
}
