import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from 'chai'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { JSON_TYPE, type ParserCase, parserCases } from './parser-cases.js'

type Request = IncomingMessage & { body?: unknown }
type Next = (error?: unknown) => void

for (const { name, express } of expressVersions) {
  /** Answers with what the parser left, or the error that it passed on, and with what is there to be read after it. */
  const appWith = ({ parser, options }: ParserCase, caches: boolean): ReturnType<typeof express> => {
    const app = express()
    const readAgain = async (req: Request): Promise<string | undefined> =>
      caches ? (await rawBody(req)).toString('latin1') : undefined
    if (caches) app.use(bodyCache())
    app.use(express[parser](options as object))
    app.use(async (req: Request, res: ServerResponse) => {
      const finds = { body: req.body }
      res.end(JSON.stringify({ finds, again: await readAgain(req) }))
    })
    app.use(async (error: Record<string, unknown>, req: Request, res: ServerResponse, _next: Next) => {
      const { status, type, message, limit, length, body } = error
      const finds = { status, type }
      const details = { message, limit, length, body }
      res.end(JSON.stringify({ finds, details, again: await readAgain(req) }))
    })
    return app
  }

  /** Sends the request twice on one connection. */
  const outcome = async (
    one: ParserCase,
    caches: boolean,
  ): Promise<{ finds: unknown; details: unknown; again: unknown }> => {
    const { port } = await serve(appWith(one, caches))
    const client = await RawClient.connect(port)
    const answers: string[] = []
    for (let turn = 0; turn < 2; turn++) {
      client.request('POST', '/', one.headers, one.body)
      answers.push(String((await client.response()).body))
    }
    client.destroy()
    expect(answers[1]).to.equal(answers[0])
    return JSON.parse(answers[0]!) as { finds: unknown; details: unknown; again: unknown }
  }

  describe(`the parsers of ${name} after bodyCache`, () => {
    afterEach(closeServers)

    for (const one of parserCases) {
      it(`express.${one.parser} ${one.it}, and the body can be read again`, async () => {
        const { finds, details, again } = await outcome(one, true)
        const without = await outcome(one, false)
        expect(finds).to.deep.equal(one.finds)
        expect([finds, details]).to.deep.equal([without.finds, without.details])
        const sent = Array.isArray(one.body) ? one.body.join('') : one.body
        expect(again).to.equal(Buffer.from(sent).toString('latin1'))
      })
    }

    it('ignore a type that is not theirs', async () => {
      const app = express()
      app.use(bodyCache(), express.json(), express.urlencoded({ extended: true }), express.raw())
      app.use((req, res, next) => {
        rawBody(req).then((bytes) => res.end(`${JSON.stringify(req.body)} ${String(bytes)}`), next)
      })
      const { url } = await serve(app)
      const answer = await fetch(url, {
        method: 'POST',
        body: 'plain',
        headers: { 'Content-Type': 'text/plain' },
      })
      expect(await answer.text()).to.equal(name === 'Express 4' ? '{} plain' : 'undefined plain')
    })

    it('parse a body again that one of them could not parse', async () => {
      const app = express()
      const fail: ErrorRequestHandler = (_error, _req, _res, next) => next()
      app.use(bodyCache(), express.json(), fail, express.text({ type: () => true }))
      app.use((req, res) => res.end(String(req.body)))
      const { url } = await serve(app)
      const answer = await fetch(url, { method: 'POST', body: '{"a":', headers: JSON_TYPE })
      expect(await answer.text()).to.equal('{"a":')
    })

    it('call verify with the bytes as they came', async () => {
      const seen: string[] = []
      const verify = (_req: IncomingMessage, _res: ServerResponse, bytes: Buffer): void => {
        seen.push(String(bytes))
      }
      const app = express()
      app.use(bodyCache(), express.json({ verify }), express.raw({ type: () => true, verify }))
      app.use((req, res) => res.end(String(req.body)))
      const { url } = await serve(app)
      const answer = await fetch(url, { method: 'POST', body: '{ "a": 1 }', headers: JSON_TYPE })
      expect([await answer.text(), ...seen]).to.deep.equal(Array.from({ length: 3 }, () => '{ "a": 1 }'))
    })

    for (const parser of ['json', 'urlencoded', 'raw', 'text'] as const) {
      it(`express.${parser} is followed by the request's 'close' as without bodyCache`, async () => {
        const heard = await Promise.all([eventsBehind(parser, bodyCache()), eventsBehind(parser)])
        expect(heard).to.deep.equal([['close'], ['close']])
      })
    }

    /** What a handler behind a parser hears of its request while it does not answer, and when its client leaves. */
    async function eventsBehind(parser: 'json' | 'urlencoded' | 'raw' | 'text', ...before: RequestHandler[]) {
      const events: string[] = []
      const app = express()
      app.use(...before, express[parser]({ type: () => true, extended: true }))
      const handled = new Promise<ServerResponse>((resolve) => {
        app.use((req, res) => {
          for (const event of ['close', 'aborted', 'error']) req.on(event, () => events.push(event))
          resolve(res)
        })
      })
      const { port } = await serve(app)
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, '{}')
      const closed = once(await handled, 'close')
      client.destroy()
      await closed
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
      return events
    }
  })
}
