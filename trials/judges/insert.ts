// Loaded before the test suite of a peer (run.ts): puts the middlewares of SLUICEWAY_JUDGED in front of every
// Express application that the suite makes, or of every server.
import http, { type RequestListener } from 'node:http'
import { attach } from 'sluiceway'
import type { Handler } from '../../test/support/express/hosts.js'
import { judged } from '../../test/support/express/judged.js'

const { handlers, attaches } = judged[process.env['SLUICEWAY_JUDGED'] ?? ''] ?? {
  handlers: [],
  attaches: false,
}

interface Router {
  use(...handlers: readonly Handler[]): unknown
}

/** What Express 4 and Express 5 keep their router in. */
interface Application {
  _router?: Router
  lazyrouter?: () => void
  router: Router
}

/**
 * Wraps `express()`. The middlewares are mounted when the application makes its router, as that is when it reads
 * settings such as 'strict routing': what a suite sets before its first `app.use` holds.
 */
function inserting<Express extends (...given: never[]) => Application>(express: Express): Express {
  const wrapped = (...given: never[]): Application => {
    const app = express(...given)
    if (app.lazyrouter === undefined) insertInto5(app)
    else insertInto4(app, app.lazyrouter)
    return app
  }
  return Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(express)) as unknown as Express
}

function insertInto4(app: Application, lazyrouter: () => void): void {
  app.lazyrouter = function () {
    const isNew = this._router === undefined
    lazyrouter.call(this)
    if (isNew) for (const handler of handlers) this._router!.use(handler)
  }
}

function insertInto5(app: Application): void {
  const { get } = Object.getOwnPropertyDescriptor(app, 'router') as { get: () => Router }
  let router: Router | undefined
  Object.defineProperty(app, 'router', {
    configurable: true,
    enumerable: true,
    get(this: Application) {
      if (router === undefined) {
        router = get.call(this)
        for (const handler of handlers) router.use(handler)
      }
      return router
    },
  })
}

Object.assign(globalThis, { [Symbol.for('sluiceway.inserting')]: inserting })

const { createServer } = http

/** `http.createServer`, with the middlewares in front of the listener where no application is to have them. */
function createJudgedServer(...given: readonly unknown[]): http.Server {
  const listener = given.at(-1)
  if (typeof listener !== 'function')
    return (createServer as (...given: readonly unknown[]) => http.Server)(...given)
  const before = process.env['SLUICEWAY_INSERTS'] === 'server' ? handlers : []
  const behind = chain(before, listener as RequestListener)
  const server = (createServer as (...given: readonly unknown[]) => http.Server)(
    ...given.slice(0, -1),
    behind,
  )
  if (attaches) attachUntilOthersUpgrade(server, behind)
  return server
}

/** A suite that takes upgrades by itself would be answered for: one owner of them per server is documented. */
function attachUntilOthersUpgrade(server: http.Server, app: RequestListener): void {
  const detach = attach(server, app)
  server.on('newListener', (event) => {
    if (event === 'upgrade') detach()
  })
}

function chain(before: readonly Handler[], listener: RequestListener): RequestListener {
  return before.reduceRight<RequestListener>(
    (next, handler) => (req, res) =>
      void handler(req, res, (error) => {
        if (error !== undefined) throw error
        next(req, res)
      }),
    listener,
  )
}

http.createServer = createJudgedServer
