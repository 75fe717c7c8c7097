import { IncomingMessage, type ServerResponse } from 'node:http'
import { Gzip } from 'node:zlib'
import { expect } from 'chai'
import compression from 'compression'
import onFinished from 'on-finished'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('the events and orders of Express and other packages that lib/node/README.md relies on', () => {
  afterEach(closeServers)

  it("on-finished takes 'finish' of a request for its end", async () => {
    const { url } = await serve((req, res) => {
      onFinished(req, () => res.end('over'))
      req.emit('finish')
    })
    expect(await (await fetch(url, { method: 'POST', body: 'unread' })).text()).to.equal('over')
  })

  for (const { name, express } of expressVersions) {
    it(`the requests of Express inherit from one object that is not a class (${name})`, () => {
      const { request } = express as unknown as { request: object }
      expect(Object.getPrototypeOf(request)).to.equal(IncomingMessage.prototype)
      expect(Object.hasOwn(request, 'constructor')).to.equal(false)
      const application = express() as unknown as { request: object }
      expect(Object.getPrototypeOf(application.request)).to.equal(request)
    })

    it(`the responses of an Express application inherit from an object with app (${name})`, async () => {
      const application = express()
      const prototypes: object[] = []
      application.use((_req, res) => {
        prototypes.push(Object.getPrototypeOf(res) as object)
        res.end()
      })
      const { url } = await serve(application)
      await (await fetch(url)).text()
      expect(prototypes).to.deep.equal([application.response])
      expect(Object.hasOwn(application.response, 'app')).to.equal(true)
      const { response } = express as unknown as { response: object }
      expect(Object.hasOwn(response, 'app')).to.equal(false)
    })
  }

  it("compression moves a 'drain' listener to its stream and returns that", async () => {
    const returned: unknown[] = []
    const { url } = await serve((req, res) => {
      compression({ threshold: 0 })(req as never, res as never, () => {
        res.setHeader('Content-Type', 'text/plain')
        res.writeHead(200)
        returned.push(res.on('drain', () => {}))
        res.end('a')
      })
    })
    await (await fetch(url)).text()
    expect(returned[0]).to.be.an.instanceOf(Gzip)
  })

  it('an application of Express or connect answers after its handlers: those of `router`, `_router`, `stack`', async () => {
    const { default: connect } = await import('connect')
    const handle = (_req: unknown, _res: unknown, next: (error?: unknown) => void): void =>
      next(Object.assign(new Error('passed on'), { status: 418 }))
    const router = { value: { handle } }
    const stack = { value: [{ route: '', handle }] }
    for (const app of [...expressVersions.map(({ express }) => express()), connect()]) {
      app.use((_req: unknown, res: ServerResponse) => void res.end('handled'))
      const bare = Object.create(app, { router, _router: router, stack }) as object
      const { handle: own } = app as unknown as { handle: () => void }
      const { url } = await serve((...both) => void Reflect.apply(own, bare, both))
      expect((await fetch(url)).status).to.equal(418)
    }
  })
})
