import { createServer } from 'node:http'
import { expect } from 'chai'
import { attach, passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions, type Express } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'

type App = ReturnType<Express>

interface Place {
  readonly mount?: string | RegExp
  readonly prefix?: string
  readonly options?: PassthroughProxyOptions
  /** Mounts the proxy, where that is more than `app.use(mount, proxy)`. */
  readonly place?: (app: App, proxy: ReturnType<typeof passthroughProxy>) => void
}

for (const { name, express } of expressVersions) {
  /** What the upstream is asked for where the client asks for `path`, or the status of a refusal. */
  async function asked(path: string, given: Place = {}): Promise<string | number> {
    const { mount = '/graphql', prefix = '/graphql', options, place } = given
    const upstream = await scriptedUpstream()
    const app = express().set('env', 'test')
    const proxy = passthroughProxy(`${upstream.url}${prefix}`, options)
    if (place === undefined) app.use(mount, proxy)
    else place(app, proxy)
    const client = await RawClient.connect((await serve(app)).port)
    client.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
    return Promise.race([
      client.response().then(({ status }) => status),
      upstream.connection().then(async (connection) => {
        const line = await connection.untilText('\r\n')
        connection.write(answer())
        return line.slice('GET '.length, -' HTTP/1.1\r\n'.length)
      }),
    ])
  }

  describe(`passthroughProxy and the slash after its mount (${name})`, () => {
    afterEach(closeServers)

    for (const [path, expected] of [
      ['/graphql', '/graphql'],
      ['/graphql?x=/', '/graphql?x=/'],
      ['/graphql?', '/graphql?'],
      ['/graphql/', '/graphql/'],
      ['/graphql/?x', '/graphql/?x'],
      ['/graphql/x', '/graphql/x'],
      ['/GraphQL', '/graphql'],
      ['/GraphQL/', '/graphql/'],
      ['http://evil.example/graphql', '/graphql'],
      ['http://evil.example/graphql?x', '/graphql?x'],
      ['http://evil.example/graphql/x', '/graphql/x'],
      ['http://evil.example/graphql/', '/graphql/'],
    ] as const) {
      it(`is sent only if the client sent it: ${path} becomes ${expected}`, async () => {
        expect(await asked(path)).to.equal(expected)
      })
    }

    it('is sent if the target ends with one', async () => {
      expect(await asked('/api', { mount: '/api', prefix: '/v1/' })).to.equal('/v1/')
      expect(await asked('/api?x', { mount: '/api', prefix: '/v1/' })).to.equal('/v1/?x')
      expect(await asked('/api/x', { mount: '/api', prefix: '/v1/' })).to.equal('/v1/x')
    })

    it('is sent if the target has no path', async () => {
      for (const prefix of ['', '/']) {
        expect(await asked('/graphql', { prefix })).to.equal('/')
        expect(await asked('/graphql?x', { prefix })).to.equal('/?x')
      }
    })

    it('is sent without a mount', async () => {
      expect(await asked('/', { mount: '/' })).to.equal('/graphql/')
      expect(await asked('/?x', { mount: '/' })).to.equal('/graphql/?x')
      expect(await asked('http://evil.example', { mount: '/' })).to.equal('/graphql/')
    })

    it('is sent only if the client sent it, in routers within routers', async () => {
      const place: Place['place'] = (app, proxy) => {
        app.use('/a', express.Router().use('/b', express.Router().use('/', proxy)))
      }
      const prefix = '/up'
      for (const [path, expected] of [
        ['/a/b', '/up'],
        ['/a/b?x', '/up?x'],
        ['/a/b/', '/up/'],
        ['/a/b/c', '/up/c'],
      ] as const) {
        expect(await asked(path, { place, prefix })).to.equal(expected)
      }
    })

    it('is sent only if the client sent it, in a route of a router, and in a parameter', async () => {
      const prefix = '/up'
      const routed: Place['place'] = (app, proxy) => app.use('/a', express.Router().get('/', proxy))
      expect(await asked('/a', { place: routed, prefix })).to.equal('/up')
      expect(await asked('/a/', { place: routed, prefix })).to.equal('/up/')
      expect(await asked('/t%2F1/x', { mount: '/:tenant', prefix })).to.equal('/up/x')
      expect(await asked('/t%2F1?y', { mount: '/:tenant', prefix })).to.equal('/up?y')
    })

    it('does not change in a route, from which Express strips nothing', async () => {
      const place: Place['place'] = (app, proxy) => app.get('/x', proxy)
      expect(await asked('/x', { place, prefix: '/v1' })).to.equal('/v1/x')
      expect(await asked('/x/?y', { place, prefix: '/v1' })).to.equal('/v1/x/?y')
    })

    it('is sent if the application has changed the URL before', async () => {
      const place: Place['place'] = (app, proxy) => {
        app.use((req, _res, next) => {
          req.url = req.url.replace('/old', '/graphql')
          next()
        })
        app.use('/graphql', proxy)
      }
      expect(await asked('/old/x', { place })).to.equal('/graphql/x')
      expect(await asked('/old', { place })).to.equal('/graphql/')
    })

    it('stays in front of the part of a name that a pattern left', async () => {
      const place: Place['place'] = (app, proxy) => app.use(/^\/api/, proxy)
      const path = await asked('/api.json', { place, prefix: '/v1' })
      // Express 5 mounts nothing in the middle of a name.
      expect(path).to.be.oneOf(['/v1/.json', 404])
    })

    it('is in the `req.url` that the option `path` sees, and not in the path of `onRequest`', async () => {
      expect(await asked('/graphql', { options: { path: (req) => req.url as string } })).to.equal('/graphql/')
      let path: string | undefined
      const onRequest: PassthroughProxyOptions['onRequest'] = (outgoing) => {
        path = outgoing.path
      }
      expect(await asked('/graphql?x', { options: { onRequest } })).to.equal('/graphql?x')
      expect(path).to.equal('/graphql?x')
    })

    it('is sent only if the client sent it, with a target that a function chooses', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use(
        '/graphql',
        passthroughProxy(() => `${upstream.url}/graphql`),
      )
      const client = await RawClient.connect((await serve(app)).port)
      client.request('GET', '/graphql')
      expect(await (await upstream.connection()).untilText('\r\n')).to.equal('GET /graphql HTTP/1.1\r\n')
    })

    it('is sent only if the client sent it, in an upgrade', async () => {
      const upstream = await scriptedUpstream()
      const app = express().use('/graphql', passthroughProxy(`${upstream.url}/graphql`))
      const server = createServer(app)
      attach(server, app)
      const client = await RawClient.connect((await listen(server)).port)
      client.request('GET', '/graphql', { Connection: 'Upgrade', Upgrade: 'websocket' })
      expect(await (await upstream.connection()).untilText('\r\n')).to.equal('GET /graphql HTTP/1.1\r\n')
    })

    it('is unchanged when the client follows a rewritten Location', async () => {
      for (const [prefix, location, expected] of [
        ['/v1', '/v1', '/api'],
        ['/v1', '/v1?x', '/api?x'],
        ['/v1', '/v1/', '/api/'],
        ['/v1/', '/v1/', '/api/'],
        ['', '/', '/api/'],
      ] as const) {
        const upstream = await scriptedUpstream()
        const proxy = passthroughProxy(`${upstream.url}${prefix}`, { rewriteLocation: true })
        const client = await RawClient.connect((await serve(express().use('/api', proxy))).port)
        client.request('GET', '/api')
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`)
        const { headers } = await client.response()
        expect(headers['location']).to.deep.equal([expected])
        client.request('GET', expected)
        expect(await connection.untilText('\r\n')).to.equal(`GET ${location} HTTP/1.1\r\n`)
      }
    })
  })
}
