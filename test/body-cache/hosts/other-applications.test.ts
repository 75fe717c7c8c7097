import { createServer, IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import type express from 'express'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'

const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

/** More bytes than a request buffers by itself. */
const long = 'two '.repeat(100_000)

async function forAwait(req: IncomingMessage): Promise<string> {
  let all = ''
  for await (const chunk of req) all += String(chunk)
  return all
}

/** Reads a body in several ways, one after the other, that all need the methods of a replay. */
async function readAgainAndAgain(req: IncomingMessage): Promise<string[]> {
  const first = String(await rawBody(req))
  let iterated = ''
  for await (const chunk of req.iterator({ destroyOnReturn: false })) iterated += String(chunk)
  return [first, await forAwait(req), iterated, await text(req), String(await rawBody(req))]
}

/** Loads a fresh copy of Express, whose `express.request` no earlier test has used. */
function ownCopyOf(module: string): typeof express {
  const require = createRequire(import.meta.url)
  const lib = dirname(require.resolve(module))
  for (const file of Object.keys(require.cache)) if (file.startsWith(lib)) delete require.cache[file]
  return require(module) as typeof express
}

describe('bodyCache, on a request that passes through several applications', () => {
  afterEach(closeServers)

  for (const outer of expressVersions) {
    for (const inner of expressVersions) {
      for (const how of ['mounted', 'called as a function'] as const) {
        it(`replays in ${inner.name} ${how}, inside ${outer.name}`, async () => {
          const app = outer.express()
          const innerApp = ownCopyOf(inner.module)()
          innerApp.post('/', async (req, res) => {
            // The buffer of the request is full before anybody reads.
            await until(() => req.readableLength >= req.readableHighWaterMark)
            res.json(await readAgainAndAgain(req))
          })
          app.use(bodyCache())
          if (how === 'mounted') app.use(innerApp)
          else app.use((req, res) => innerApp(req, res))
          const { port } = await serve(app)
          const client = await RawClient.connect(port)
          for (let round = 0; round < 2; round++) {
            client.write(CHUNKED)
            client.write(asChunk('one '))
            client.write(asChunk(long), lastChunk)
            const { body } = await client.response()
            expect(JSON.parse(body.toString())).to.deep.equal(Array.from({ length: 5 }, () => `one ${long}`))
          }
          client.destroy()
        })
      }
    }
  }

  it('gives a request of a custom class its own methods', async () => {
    class Message extends IncomingMessage {}
    const keep = bodyCache()
    const server = createServer({ IncomingMessage: Message }, (req, res) => {
      keep(req, res, () => {
        void readAgainAndAgain(req).then((all) => res.end(JSON.stringify(all)))
      })
    })
    const { url } = await listen(server)
    const answer = await fetch(url, { method: 'POST', body: 'abc' })
    expect(await answer.json()).to.deep.equal(Array.from({ length: 5 }, () => 'abc'))
    expect(Object.getOwnPropertyNames(Message.prototype)).to.deep.equal(['constructor'])
  })

  it('does not touch requests to routes of the same application without it', async () => {
    const app = expressVersions[0].express()
    app.post('/kept', bodyCache(), async (req, res) => {
      res.json(await readAgainAndAgain(req))
    })
    app.post('/plain', async (req, res) => {
      const iterator = req.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]()
      const { value } = (await iterator.next()) as { value: Buffer }
      req.pause()
      res.json([String(value), await forAwait(req), await forAwait(req)])
    })
    const { url } = await serve(app)
    const post = async (path: string): Promise<unknown> =>
      (await fetch(`${url}${path}`, { method: 'POST', body: 'abc' })).json()
    expect(await post('/kept')).to.deep.equal(Array.from({ length: 5 }, () => 'abc'))
    expect(await post('/plain')).to.deep.equal(['abc', '', ''])
  })
})
