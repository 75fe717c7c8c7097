import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { closeServers, serve } from '../../support/servers/servers.js'

const JSON_TYPE = { 'Content-Type': 'application/json' }
const FORM_TYPE = { 'Content-Type': 'application/x-www-form-urlencoded' }
const GZIP = { 'Content-Encoding': 'gzip' }

interface ParserCase {
  readonly it: string
  readonly parser: 'json' | 'urlencoded' | 'raw' | 'text'
  readonly options?: object
  readonly headers: Record<string, string>
  readonly body: string | Buffer | string[]
  /** What the parser left in `req.body`, or the error it passed on. */
  readonly finds: { readonly body: unknown } | { readonly status: number; readonly type?: string }
}

const refuseAll = (): never => {
  throw new Error('not signed')
}

const cases: readonly ParserCase[] = [
  {
    it: 'parses JSON',
    parser: 'json',
    headers: JSON_TYPE,
    body: '{"a":[1]}',
    finds: { body: { a: [1] } },
  },
  {
    it: 'names what is not JSON',
    parser: 'json',
    headers: JSON_TYPE,
    body: '{"a":',
    finds: { status: 400, type: 'entity.parse.failed' },
  },
  {
    it: 'refuses a JSON string where it is strict',
    parser: 'json',
    headers: JSON_TYPE,
    body: '"a"',
    finds: { status: 400, type: 'entity.parse.failed' },
  },
  {
    it: 'takes a JSON string where it is not strict',
    parser: 'json',
    options: { strict: false },
    headers: JSON_TYPE,
    body: '"a"',
    finds: { body: 'a' },
  },
  {
    it: 'refuses an announced length over its limit',
    parser: 'json',
    options: { limit: 4 },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { status: 413, type: 'entity.too.large' },
  },
  {
    it: 'refuses chunks over its limit',
    parser: 'json',
    options: { limit: 4 },
    headers: JSON_TYPE,
    body: ['{"a"', ':1}', 'x'.repeat(100_000)],
    finds: { status: 413, type: 'entity.too.large' },
  },
  {
    it: 'refuses what decompresses to more than its limit',
    parser: 'raw',
    options: { limit: 100, type: () => true },
    headers: GZIP,
    body: gzipSync('x'.repeat(1000)),
    finds: { status: 413, type: 'entity.too.large' },
  },
  {
    it: 'decompresses',
    parser: 'json',
    headers: { ...JSON_TYPE, ...GZIP },
    body: gzipSync('{"a":1}'),
    finds: { body: { a: 1 } },
  },
  {
    it: 'refuses compressed bodies without inflate',
    parser: 'json',
    options: { inflate: false },
    headers: { ...JSON_TYPE, ...GZIP },
    body: gzipSync('{"a":1}'),
    finds: { status: 415, type: 'encoding.unsupported' },
  },
  {
    it: 'refuses an encoding that it does not know',
    parser: 'json',
    headers: { ...JSON_TYPE, 'Content-Encoding': 'smoke' },
    body: '{"a":1}',
    finds: { status: 415, type: 'encoding.unsupported' },
  },
  {
    it: 'refuses a charset that it does not know',
    parser: 'json',
    headers: { 'Content-Type': 'application/json; charset=x-smoke' },
    body: '{"a":1}',
    finds: { status: 415, type: 'charset.unsupported' },
  },
  {
    it: 'refuses a charset that is not UTF',
    parser: 'json',
    headers: { 'Content-Type': 'application/json; charset=latin1' },
    body: '{}',
    finds: { status: 415, type: 'charset.unsupported' },
  },
  {
    it: 'revives',
    parser: 'json',
    options: { reviver: (_key: string, value: unknown) => (value === 1 ? 2 : value) },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { body: { a: 2 } },
  },
  {
    it: 'decompresses bytes',
    parser: 'raw',
    options: { type: () => true },
    headers: { 'Content-Type': 'image/png', ...GZIP },
    body: gzipSync('abc'),
    finds: { body: { type: 'Buffer', data: [97, 98, 99] } },
  },
  {
    it: 'reports damaged data',
    parser: 'raw',
    options: { type: () => true },
    headers: { 'Content-Type': 'image/png', ...GZIP },
    body: 'no gzip',
    finds: { status: 400 },
  },
  {
    it: 'refuses what verify refuses',
    parser: 'json',
    options: { verify: refuseAll },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { status: 403, type: 'entity.verify.failed' },
  },
  {
    it: 'parses forms',
    parser: 'urlencoded',
    options: { extended: true },
    headers: FORM_TYPE,
    body: 'a[b]=1&c=%C3%BC',
    finds: { body: { a: { b: '1' }, c: 'ü' } },
  },
  {
    it: 'refuses a form of too many parameters',
    parser: 'urlencoded',
    options: { extended: true, parameterLimit: 2 },
    headers: FORM_TYPE,
    body: 'a=1&b=2&c=3',
    finds: { status: 413, type: 'parameters.too.many' },
  },
  {
    it: 'reads text in its charset',
    parser: 'text',
    headers: { 'Content-Type': 'text/plain; charset=iso-8859-1' },
    body: Buffer.from('grün', 'latin1'),
    finds: { body: 'grün' },
  },
  {
    it: 'takes types that it was told to take',
    parser: 'text',
    options: { type: 'application/*' },
    headers: JSON_TYPE,
    body: '{"a":1}',
    finds: { body: '{"a":1}' },
  },
]

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

    for (const one of cases) {
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
