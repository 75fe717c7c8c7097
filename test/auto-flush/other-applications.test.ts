import type { RequestListener, ServerResponse } from 'node:http'
import { expect } from 'chai'
import compression from 'compression'
import type { Express, RequestHandler } from 'express'
import { autoFlush } from 'sluiceway'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { type Express as CreateExpress, expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { StreamServer } from './streams.js'

/** Adds a header to each head, as express-session adds its cookie. */
const marking: RequestHandler = (_req, res, next) => {
  const { writeHead } = res as { writeHead: (...args: unknown[]) => ServerResponse }
  res.writeHead = function marked(this: ServerResponse, ...args: unknown[]) {
    res.setHeader('x-mark', 'set')
    return writeHead.apply(this, args)
  } as typeof res.writeHead
  next()
}

/** An application whose router calls another one, which it does not know as an application. */
function around(express: CreateExpress, inner: Express, ...before: RequestHandler[]): RequestListener {
  return express().use(...before, express.Router().use(inner))
}

/** Streams from the inner of two applications. */
function streamFrom(inner: Express, outer: RequestListener): Promise<StreamServer> {
  const get = inner.get.bind(inner) as never
  return StreamServer.start(
    Object.assign<RequestListener, { get: never }>((req, res) => outer(req, res), { get }),
  )
}

describe('autoFlush, on a response that passes to an application called as a function', () => {
  afterEach(closeServers)

  for (const outer of expressVersions) {
    for (const inner of expressVersions) {
      for (const options of [{}, { sync: true }]) {
        it(`keeps what other code has wrapped around writeHead: ${inner.name} in ${outer.name}, ${JSON.stringify(options)}`, async () => {
          const app = inner.express()
          app.get('/', (_req, res) => void res.json({}))
          const { url } = await serve(around(outer.express, app, autoFlush(options), marking))
          const { response } = await StreamingClient.get(url)
          expect(response.headers).to.have.property('x-mark', 'set')
        })
      }

      it(`delivers each chunk through compression before the next is sent: ${inner.name} in ${outer.name}`, async () => {
        const app = inner.express()
        const streams = await streamFrom(app, around(outer.express, app, autoFlush(), compression()))
        await streams.pingPong('gzip')
      })
    }
  }

  for (const { name, express } of expressVersions) {
    it(`delivers each chunk through its own compression before the next is sent: ${name}`, async () => {
      const app = express().use(compression())
      const streams = await streamFrom(app, around(express, app, autoFlush()))
      await streams.pingPong('gzip')
    })

    it(`gives it a flush: ${name}`, async () => {
      const app = express()
      app.get('/', (_req, res) => void res.send(typeof res.flush))
      const { url } = await serve(around(express, app, autoFlush()))
      expect(await (await StreamingClient.get(url)).ended()).to.equal('function')
    })

    it(`runs the response methods of that application: ${name}`, async () => {
      const app = express()
      app.response.writeHead = function writeHead(this: ServerResponse, ...args: unknown[]) {
        this.setHeader('x-own', 'set')
        const inherited = Object.getPrototypeOf(app.response) as { writeHead: () => never }
        return Reflect.apply(inherited.writeHead, this, args)
      } as never
      app.get('/', (_req, res) => void res.json({}))
      const { url } = await serve(around(express, app, autoFlush()))
      const { response } = await StreamingClient.get(url)
      expect(response.headers).to.have.property('x-own', 'set')
    })
  }
})
