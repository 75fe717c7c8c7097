import http from 'node:http'
import { expect } from 'chai'
import type { ErrorRequestHandler } from 'express'
import {
  attach,
  autoFlush,
  bodyCache,
  type BodyCache,
  maxBytes,
  passthroughProxy,
  type SluicewayError,
} from 'sluiceway'
import { expressVersions } from '../support/express/express-versions.js'
import { filesBelow, readText, root } from '../support/repository/repository.js'
import { closeServers, serve } from '../support/servers/servers.js'

const POINTER = /^[^(].* \(see docs\/errors\.md#([\w-]+)\)$/s

/** The anchors of a page, as GitHub makes them of its headings. */
const anchors = [...readText('docs/errors.md').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-'),
)

/** Where a message says to read more; undefined where it says nothing. */
function entryOf(error: unknown): string | undefined {
  return POINTER.exec((error as Error).message)?.[1]
}

/** What a call of this package throws. */
function thrownBy(call: () => unknown): Error {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

const codes = [...readText('lib/shared/errors.ts').matchAll(/^ {2}\| '(\w+)'$/gm)].map(
  ([, code = '']) => code,
)

/**
 * Errors whose message is no message of ours to an application: causes of an error that has one, and copies of what
 * Node itself says. By the file of lib that creates them.
 */
const CAUSES = [
  'lib/attach/declined-upgrades.ts',
  'lib/attach/upgrade.ts',
  'lib/body-cache/urlencoded.ts',
  'lib/passthrough-proxy/hook-bodies/body-transform.ts',
  'lib/passthrough-proxy/hook-bodies/given-body.ts',
  'lib/passthrough-proxy/hook-bodies/contained-transform.ts',
  'lib/passthrough-proxy/hooks.ts',
  'lib/passthrough-proxy/request/changed-body.ts',
  'lib/passthrough-proxy/request/unannounced-body.ts',
  'lib/passthrough-proxy/response/',
  'lib/passthrough-proxy/upstream-errors.ts',
  'lib/passthrough-proxy/upstream/',
  'lib/passthrough-proxy/hook-bodies/web-streams.ts',
  'lib/pipe-child/children/child-process.ts',
  'lib/pipe-child/children/worker.ts',
]

describe('the message of an error', () => {
  it('ends with its entry on docs/errors.md if it has a code and is not for clients', async () => {
    const { sluicewayError } = (await import(`${root}/dist/esm/shared/errors.js`)) as {
      sluicewayError: (code: string, details?: { message: string }) => SluicewayError
    }
    expect(codes).to.have.length.above(10)
    for (const code of codes) {
      for (const error of [sluicewayError(code), sluicewayError(code, { message: 'the reason' })]) {
        const entry = error.expose ? undefined : code.toLowerCase()
        expect(entryOf(error), code).to.equal(entry)
      }
      expect(anchors).to.include(code.toLowerCase())
    }
  })

  const wrongUses: Readonly<Record<string, () => unknown>> = {
    'a wrong kind': () => maxBytes({ limit: null as never }),
    'a number out of range': () => maxBytes({ limit: -1 }),
    'an unknown option': () => bodyCache({ limits: 1 } as never),
    'options that are no object': () => autoFlush('now' as never),
    'a factory that was mounted': () => maxBytes({ socket: {}, headers: {} } as never),
    'a target': () => passthroughProxy('here'),
    'an option that is not the caller’s': () =>
      passthroughProxy('http://a', { connect: { port: 1 } as never }),
    'options that contradict each other': () =>
      passthroughProxy('http://a', { path: () => '/', rewriteLocation: true }),
    'a server': () => attach({} as never, () => {}),
    'an app': () => attach(http.createServer(), 1 as never),
    'a second app': () => {
      const server = http.createServer()
      attach(server, () => {})
      attach(server, () => {})
    },
  }
  for (const [name, use] of Object.entries(wrongUses)) {
    it(`ends with the entry for a wrong option: ${name}`, () => {
      expect(entryOf(thrownBy(use))).to.equal('a-wrong-option')
    })
  }

  it('names only entries that exist', () => {
    const named = filesBelow('lib').flatMap((file) =>
      [...readText(file).matchAll(/'(a-[a-z-]+)'/g)].map(([, entry = '']) => entry),
    )
    expect(new Set(named)).to.have.property('size').above(2)
    for (const entry of named) expect(anchors).to.include(entry)
  })

  it('is made by one of these ways wherever lib makes an error', () => {
    const others = filesBelow('lib').filter(
      (file) =>
        /new (?:Type|Range)?Error\((?!\s*withEntry\()/.test(readText(file)) &&
        !CAUSES.some((folder) => file.startsWith(folder)),
    )
    expect(others).to.deep.equal([])
  })
})

for (const { name, express } of expressVersions) {
  describe(`the text of an error for a client of ${name}`, () => {
    afterEach(closeServers)

    it('is the text of body-parser if the message may be shown', async () => {
      const app = express()
      app.use(maxBytes(3))
      app.use(((error, _req, res, _next) => {
        res.status(error.status).json({ message: error.message })
      }) as ErrorRequestHandler)
      const { url } = await serve(app)
      const answer = await fetch(url, { method: 'POST', body: 'four' })
      expect([answer.status, await answer.text()]).to.deep.equal([
        413,
        '{"message":"request entity too large"}',
      ])
    })

    it('names no page in production', async () => {
      const app = express()
      app.set('env', 'production')
      app.use('/large', maxBytes(3))
      app.use('/gone', passthroughProxy('http://127.0.0.1:9'))
      app.use('/schema', bodyCache(), (req, _res, next) => {
        ;(req as unknown as { bodyCache: BodyCache }).bodyCache.json({} as never).catch(next)
      })
      const { url } = await serve(app)
      for (const [path, status] of [
        ['/large', 413],
        ['/gone', 502],
        ['/schema', 500],
      ] as const) {
        const answer = await fetch(url + path, { method: 'POST', body: '[1,2]' })
        expect(answer.status).to.equal(status)
        expect(await answer.text()).to.not.match(/see|docs|errors\.md/)
      }
    })
  })
}
