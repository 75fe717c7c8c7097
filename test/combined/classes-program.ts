import type { IncomingMessage, ServerResponse } from 'node:http'
import { autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { type Express, expressVersions } from '../support/express/express-versions.js'
import { haveSameClass, isFast } from '../support/process/hidden-classes.js'
import { closeServers, serve } from '../support/servers/servers.js'

// A program that prints, for each middleware in each Express, whether requests and responses share hidden classes.

interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

const upstream = await serve((_req, res) => void res.end('done'))

const middlewares = {
  bodyCache: bodyCache(),
  maxBytes: maxBytes('1mb'),
  autoFlush: autoFlush(),
  passthroughProxy: passthroughProxy(upstream.url),
}

type Middleware = keyof typeof middlewares

/** An application in which a middleware, and then a parser or a proxy, get three requests over one connection. */
async function exchangesBehind(express: Express, middleware: Middleware): Promise<Exchange[]> {
  const seen: Exchange[] = []
  const app = express().use((req, res, next) => {
    seen.push({ req, res })
    next()
  })
  app.use(middlewares[middleware])
  app.use(express.text(), (_req, res) => void res.end('done'))
  const client = await RawClient.connect((await serve(app)).port)
  for (let sent = 0; sent < 3; sent++) {
    client.request('POST', '/', { 'Content-Type': 'text/plain' }, 'body')
    await client.response()
  }
  client.destroy()
  return seen
}

/** V8 caches the classes of dictionaries in a table whose places two of them may share, so each is compared with the next. */
function areShared(objects: readonly object[]): boolean {
  return objects.slice(2).every((one, i) => !isFast(one) || haveSameClass(one, objects[i + 1]!))
}

const found: Record<string, { requests: boolean; responses: boolean }> = {}
for (const { name, express } of expressVersions) {
  for (const middleware of Object.keys(middlewares) as Middleware[]) {
    const seen = await exchangesBehind(express, middleware)
    found[`${name}, ${middleware}`] = {
      requests: areShared(seen.map(({ req }) => req)),
      responses: areShared(seen.map(({ res }) => res)),
    }
  }
}
console.log(JSON.stringify(found))
await closeServers()
