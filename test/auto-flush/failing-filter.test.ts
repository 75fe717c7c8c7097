import { expect } from 'chai'
import compression from 'compression'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { autoFlush, type AutoFlushOptions } from 'sluiceway'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'

const thrown = new Error('the cause')

const filters: Readonly<Record<string, NonNullable<AutoFlushOptions['filter']>>> = {
  throws() {
    throw thrown
  },
  'is asynchronous': (() => Promise.resolve(true)) as never,
}

const handlers: Readonly<Record<string, RequestHandler>> = {
  write: (_req, res) => void res.write('a part'),
  end: (_req, res) => void res.end('the whole'),
  json: (_req, res) => void res.json({ whole: true }),
  writeHead: (_req, res) => void res.writeHead(200),
}

const stacks: Readonly<Record<string, (flush: RequestHandler) => RequestHandler[]>> = {
  'behind compression': (flush) => [compression({ threshold: 0 }), flush],
  'before compression': (flush) => [flush, compression({ threshold: 0 })],
}

for (const { name, express } of expressVersions) {
  for (const [order, stack] of Object.entries(stacks)) {
    describe(`autoFlush with a filter that fails, ${order} (${name})`, () => {
      afterEach(closeServers)

      for (const [what, failing] of Object.entries(filters)) {
        for (const [method, handler] of Object.entries(handlers)) {
          it(`${what}: fails the handler at ${method}, and not the page for that error`, async () => {
            let calls = 0
            const errors: unknown[] = []
            const filter: typeof failing = (req, res) => {
              calls++
              return failing(req, res)
            }
            const note: ErrorRequestHandler = (error, _req, _res, next) => {
              errors.push(error)
              next(error) // Express's own page is written in an event
            }
            const app = express().set('env', 'test')
            app.use(stack(autoFlush({ filter })), handler, note)
            const { status } = await fetch((await serve(app)).url)
            expect(status).to.equal(500)
            expect(errors).to.have.length(1)
            expect(calls).to.equal(1)
          })
        }
      }
    })
  }
}
