import { expect } from 'chai'
import compression from 'compression'
import { autoFlush } from 'sluiceway'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('res.flush', () => {
    for (const { name, express } of expressVersions) {
      for (const [mount, mounted] of Object.entries({
        alone: () => [autoFlush()],
        'before compression': () => [autoFlush(), compression()],
        'after compression': () => [compression(), autoFlush()],
      })) {
        it(`may be called at any time of any response: ${name}, ${mount}`, async () => {
          const app = express()
          app.use(...mounted())
          app.get('/json', (_req, res) => {
            res.flush()
            res.json({ flush: typeof res.flush })
            res.flush()
          })
          app.get('/counted', (_req, res) => {
            res.set('Content-Length', '7').write('count')
            res.flush()
            res.end('ed')
          })
          const sub = express()
          sub.get('/', (_req, res) => {
            res.type('text/plain').write('streamed in a sub-application')
            res.flush()
            res.end()
            res.flush()
          })
          app.use('/sub', sub)
          const { url } = await serve(app)
          const whole = await StreamingClient.get(`${url}/json`)
          expect(await whole.ended()).to.equal('{"flush":"function"}')
          const counted = await StreamingClient.get(`${url}/counted`)
          expect(await counted.ended()).to.equal('counted')
          const streamed = await StreamingClient.get(`${url}/sub`)
          expect(await streamed.ended()).to.equal('streamed in a sub-application')
        })
      }
    }

    it('exists on the response of a bare server that uses autoFlush, and on no other', async () => {
      const middleware = autoFlush()
      const { url } = await serve((req, res) => {
        const flushes = (): boolean => 'flush' in res
        if (req.url === '/without') res.end(String(flushes()))
        else middleware(req, res, () => res.end(String(flushes())))
      })
      expect(await (await StreamingClient.get(`${url}/with`)).ended()).to.equal('true')
      expect(await (await StreamingClient.get(`${url}/without`)).ended()).to.equal('false')
    })

    it('sends at once the writes that wait for a longer coalesce', async () => {
      const { express } = expressVersions[0]
      const app = express()
      app.use(autoFlush({ coalesce: 60_000 }), compression())
      app.get('/', (_req, res) => {
        res.type('text/plain').write('flushed by hand')
        res.flush()
      })
      const { url } = await serve(app)
      const client = await StreamingClient.get(url, 'gzip')
      await client.received('flushed by hand')
      client.leave()
    })
  })
})
