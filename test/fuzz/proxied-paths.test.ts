import type { RequestListener } from 'node:http'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { expressVersions } from '../support/express/express-versions.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { holds } from './property.js'

interface Case {
  readonly version: number
  readonly mount: string
  readonly prefix: string
  /** What stands in the request line. */
  readonly target: string
}

const segment = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '..',
      '.',
      '%2e%2e',
      '.%2E',
      '..;x',
      '%2e%2e%2f',
      '..%5c',
      '..\\',
      '%252e%252e',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '',
      'a',
      'api',
      'API',
      '%2F',
      '%',
      '%zz',
      '%C3%BC',
      '@evil.test',
      'evil.test:80',
      ';a=b',
      '*',
    ),
  },
  fc.string({ unit: fc.constantFrom(...'ab:@!$&\'()*+,-._~%2Fe"<>[]^`{|}\\'.split('')), maxLength: 6 }),
)
const path = fc
  .tuple(fc.array(segment, { maxLength: 6 }), fc.constantFrom('', '', '?', '?q=/../..', '?a#b', '/?/..'))
  .map(([segments, query]) => `/${segments.join('/')}${query}`)

const cases: fc.Arbitrary<Case> = fc.record({
  version: fc.nat(expressVersions.length - 1),
  mount: fc.constantFrom('/', '/api', '/a/api'),
  prefix: fc.constantFrom('', '/base', '/base/v1/'),
  target: fc
    .tuple(
      fc.constantFrom('', '', '', '', 'http://evil.test', 'HTTP://evil.test:81', '//evil.test'),
      fc.constantFrom('', '', '/api', '/a/api'),
      path,
    )
    .map((parts) => parts.join('')),
})

describe('passthroughProxy and paths, fuzzed', () => {
  afterEach(closeServers)

  it('sends the path that Express left, byte for byte, below the prefix of the target, or refuses it', async function () {
    this.timeout(0)
    const seen: string[] = []
    const upstream = await serve((req, res) => {
      seen.push(req.url!)
      res.end('upstream')
    })
    let listener: RequestListener
    const { port } = await serve((req, res) => listener(req, res))
    const check = async ({ version, mount, prefix, target }: Case): Promise<void> => {
      const app = expressVersions[version]!.express().set('env', 'test')
      let left: string | undefined
      app.use(mount, (req, _res, next) => {
        left = req.url
        next()
      })
      app.use(mount, passthroughProxy(`${upstream.url}${prefix}`))
      listener = app as RequestListener
      seen.length = 0
      const client = await RawClient.connect(port)
      client.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
      const { status } = await client.response()
      client.destroy()
      const base = prefix.replace(/\/$/, '')
      if (left === undefined || status !== 200) {
        expect(seen).to.deep.equal([])
        expect([400, 404]).to.include(status)
        // Only a path that climbs is refused, and only where there is something to climb out of.
        if (left !== undefined) expect([base !== '', /\.|%2e/i.test(left)]).to.deep.equal([true, true])
        return
      }
      const [url = ''] = seen
      expect(seen).to.have.length(1)
      const query = queryOfMount(target, mount)
      const expected = query === undefined ? base + withoutOrigin(left) : (prefix || '/') + query
      expect(url).to.equal(expected)
      expect(new URL(`http://upstream${url}`).pathname.startsWith(base), url).to.equal(true)
    }
    await holds(fc.asyncProperty(cases, check), { runs: 300, milliseconds: 800 })
  })
})

/** The rest of a URL without a slash after the mount: a query, or nothing. Express has then added the slash in `req.url`. */
function queryOfMount(target: string, mount: string): string | undefined {
  const rest = target.replace(/^\w+:\/\/[^/?#]*/, '')
  if (mount === '/' || !rest.toLowerCase().startsWith(mount)) return undefined
  const query = rest.slice(mount.length)
  return query === '' || query.startsWith('?') ? query : undefined
}

/** An absolute form names an origin, which the proxy must not follow. */
function withoutOrigin(url: string): string {
  const rest = url.replace(/^\w+:\/\/[^/?#]*/, '')
  return rest.startsWith('/') ? rest : `/${rest}`
}
