import { EventEmitter, once } from 'node:events'
import { type IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import type { Express } from 'express'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { expressVersions } from '../../support/express/express-versions.js'
import { adapters, answerOf, BODY, invoke, SIZE } from './adapters.js'

type Parser = (req: never, res: never, next: (error?: unknown) => void) => unknown

function parsing(parser: Parser): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return (req, res) =>
    new Promise((resolve, reject) => {
      parser(req as never, res as never, (error) => (error === undefined ? resolve() : reject(error)))
    })
}

/** Reads a request by 'data', pausing after each chunk. */
async function gather(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer | string) => {
    chunks.push(Buffer.from(chunk))
    req.pause()
    setImmediate(() => req.resume())
  })
  await once(req, 'end')
  return Buffer.concat(chunks).toString()
}

/** Listens to the request of a response, as code does that waits for the client to leave. */
function leaveListener(res: ServerResponse): ServerResponse {
  res.req.on('close', () => {})
  return res
}

for (const { name, express } of expressVersions) {
  const appOf = (...handlers: unknown[]): Express => {
    const app = express()
    app.set('env', 'test').set('etag', false)
    app.use(...(handlers as []))
    const fault = (
      error: { status?: number; code?: string; message: string },
      _req: never,
      res: never,
      _next: never,
    ) => {
      ;(res as { status(code: number): { send(body: string): void } })
        .status(error.status ?? 500)
        .send(error.code ?? error.message)
    }
    app.use(fault as never)
    return app as never
  }
  const parsed = (req: { body: unknown }, res: { json(value: unknown): void }): void => res.json(req.body)
  const accessed = async (req: IncomingMessage, res: ServerResponse): Promise<unknown> =>
    res.end(await req.bodyCache.buffer())
  const readFirst = (req: IncomingMessage, _res: unknown, next: (error?: unknown) => void): void => {
    text(req).then(() => next(), next)
  }
  /** Adapters put the body there, and a parser that skips the request leaves it. */
  const asAdapters = (req: { body?: unknown }, _res: unknown, next: () => void): void => {
    req.body = Buffer.from(BODY)
    next()
  }
  const twice = (req: IncomingMessage, res: ServerResponse, next: (error: unknown) => void): void => {
    const readTwice = async (): Promise<unknown> => res.end(`${await text(req)}|${await text(req)}`)
    readTwice().catch(next)
  }

  const readers: Readonly<Record<string, (req: IncomingMessage, res: ServerResponse) => Promise<unknown>>> = {
    'express.json()': parsing(express.json()),
    'express.json() and express.text()': async (req, res) => {
      await parsing(express.json())(req, res)
      await parsing(express.text({ type: () => true }))(req, res)
    },
    'express.json(), whose check fails': parsing(
      express.json({
        verify() {
          throw new Error('checked')
        },
      }),
    ),
    "on('data')": async (req) => {
      req.on('data', () => {})
      await once(req, 'end')
    },
    'for await': (req) => text(req),
    'bodyCache.json()': (req) => req.bodyCache.json(),
  }
  const outcomes: readonly [
    string,
    (res: ServerResponse, next: (error?: unknown) => void) => void,
    string,
  ][] = [
    ['404', (_res, next) => next(), '404 '],
    ['an error', (_res, next) => next(new Error('thrown')), '500 '],
    ['a streamed answer', (res) => void Readable.from(['in ', 'parts']).pipe(res), '200 '],
    ['an answer with a listener left on the request', (res) => leaveListener(res).end('left'), '200 left'],
  ]

  for (const adapter of adapters) {
    describe(`an application of ${name} behind ${adapter.name}`, () => {
      for (const [what, handlers, answer] of [
        ['bodyCache.buffer()', [bodyCache(), accessed], `200 ${BODY}`],
        ['two readers of the request', [bodyCache(), twice], `200 ${BODY}|${BODY}`],
        ['a body kept in a file', [bodyCache({ memory: 0 }), twice], `200 ${BODY}|${BODY}`],
        [
          'express.json() behind bodyCache',
          [bodyCache(), express.json(), parsed],
          '200 {"a":"\u00fc\u00fc"}',
        ],
        [
          'express.json() after rawBody',
          [asAdapters, bodyCache({ rawBody: true }), express.json(), parsed],
          '200 {"a":"\u00fc\u00fc"}',
        ],
        [
          'express.json() after a reader of the request',
          [asAdapters, bodyCache(), readFirst, express.json(), parsed],
          '200 {"a":"\u00fc\u00fc"}',
        ],
        [
          'express.json() within maxBytes',
          [maxBytes(SIZE), express.json(), parsed],
          '200 {"a":"\u00fc\u00fc"}',
        ],
        [
          'rawBody',
          [
            bodyCache({ rawBody: true }),
            (req: { rawBody: Buffer }, res: ServerResponse) => res.end(req.rawBody),
          ],
          `200 ${BODY}`,
        ],
      ] as const) {
        for (const length of [true, false]) {
          it(`gets the body from ${what}, ${length ? 'with' : 'without'} its length`, async () => {
            expect(await invoke(appOf(...handlers), adapter, length)).to.equal(answer)
          })
        }
      }

      for (const [how, read] of Object.entries(readers)) {
        for (const [outcome, answer, expected] of outcomes) {
          for (const memory of [BODY.length * 2, 0]) {
            it(`has ${outcome} by Express alone after ${how}, ${memory} bytes in memory`, async () => {
              const handler = (
                req: IncomingMessage,
                res: ServerResponse,
                next: (error?: unknown) => void,
              ) => {
                read(req, res).then(() => answer(res, next), next)
              }
              const app = express().set('env', 'test').use(bodyCache({ memory }), handler)
              const status = how.endsWith('fails') ? '403 ' : expected
              expect(await invoke(app as never, adapter)).to.match(new RegExp(`^${status}`))
            })
          }
        }
      }

      for (const [what, front] of [
        ['maxBytes', maxBytes(SIZE)],
        ['bodyCache', bodyCache()],
        ['a file of bodyCache', bodyCache({ memory: 0 })],
      ] as const) {
        it(`reads on from ${what} after an answer that is sent as soon as the reader has begun`, async () => {
          let read: Promise<string> | undefined
          const handler = (req: IncomingMessage, res: ServerResponse): void => {
            read = gather(req)
            res.end('accepted')
          }
          expect(await invoke(appOf(front, handler), adapter)).to.equal('200 accepted')
          expect(await read).to.equal(BODY)
        })
      }

      for (const [what, limit] of [
        ['maxBytes', maxBytes(SIZE - 1)],
        ['bodyCache', bodyCache({ limit: SIZE - 1 })],
      ] as const) {
        for (const length of [true, false]) {
          it(`answers 413 from ${what}, ${length ? 'with' : 'without'} the length of the body`, async () => {
            const answer = await invoke(appOf(limit, twice), adapter, length)
            expect(answer).to.equal('413 ERR_SLUICEWAY_BODY_TOO_LARGE')
          })

          it(`has a 413 from ${what} and Express alone, ${length ? 'with' : 'without'} the length of the body`, async () => {
            const app = express().set('env', 'test')
            app.use(limit, express.json())
            expect(await invoke(app as never, adapter, length)).to.match(/^413 /)
          })
        }
      }
    })
  }

  describe(`an application of ${name} with a request that is not a stream, such as that of node-mocks-http`, () => {
    const mock = (headers: Record<string, string>): IncomingMessage =>
      Object.assign(new EventEmitter(), { method: 'POST', url: '/', headers, body: { a: 1 } }) as never

    function call(app: Express, req: IncomingMessage): Promise<string> {
      const res = new ServerResponse(req)
      return new Promise((resolve) => {
        answerOf(res, resolve)
        app(req as never, res as never)
      })
    }

    for (const middleware of [bodyCache(), maxBytes(10)]) {
      it(`serves a request without a body as without ${middleware.name}`, async () => {
        expect(await call(appOf(middleware, parsed), mock({}))).to.equal('200 {"a":1}')
      })

      it(`gets an error that says why from ${middleware.name} for a request that announces a body`, async () => {
        const answer = await call(appOf(middleware, parsed), mock({ 'content-length': '3' }))
        expect(answer).to.match(
          /^500 (bodyCache|maxBytes): the request announces a body, but is not a stream/,
        )
      })
    }
  })
}
