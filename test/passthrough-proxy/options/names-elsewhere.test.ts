import { createServer } from 'node:http'
import { expect } from 'chai'
import { attach, autoFlush, bodyCache, maxBytes, passthroughProxy } from 'sluiceway'
import { isNode22Installed } from '../../support/repository/node22.js'
import { root } from '../../support/repository/repository.js'
import { namesOf, needsNode22, peers } from '../migration/peer-options.js'

/** The message with which a proxy with this option is refused. */
function refusal(option: string): string {
  try {
    passthroughProxy('http://127.0.0.1:9', { [option]: 1 })
  } catch (error) {
    expect(error, option).to.be.instanceOf(TypeError)
    return (error as Error).message
  }
  throw new Error(`the option ${option} is accepted`)
}

/** The options that people bring from other proxies, each with words of the answer. */
const brought: Readonly<Record<string, string>> = {
  changeOrigin: 'preserveHost: true sends the Host of the client',
  ws: 'attach(server, app)',
  pathRewrite: '"path": (req) =>',
  pathFilter: 'app.use([',
  router: 'may be a function',
  targets: 'passthroughProxy((req, failed) => target)',
  healthCheck: 'is called again if one cannot be reached',
  http2: 'not to Express',
  secure: 'connect: { ca }',
  agent: '"maxConnections"',
  timeout: '"headersTimeoutMs"',
  proxyTimeout: '"headersTimeoutMs"',
  headers: '"onRequest"',
  xfwd: 'see "forwarded"',
  followRedirects: 'interceptors.redirect',
  selfHandleResponse: '"onResponse"',
  cookieDomainRewrite: 'it is "cookieDomain" here',
  cookiePathRewrite: 'it is "cookiePath" here',
  autoRewrite: 'it is "rewriteLocation" here',
  on: 'proxyReq is "onRequest"',
  onProxyRes: '"onResponse"',
  logger: 'DEBUG=sluiceway:proxy',
  target: 'passthroughProxy(target, options)',
  localAddress: 'it belongs in "connect"',
  forward: 'no option sends a copy elsewhere',
  limit: 'maxBytes(limit)',
  userResDecorator: '"onResponse"',
  proxyReqPathResolver: '"path": (req) =>',
  rejectUnauthorized: 'it belongs in "connect"',
}

describe('passthroughProxy: options of other proxies', () => {
  for (const [option, words] of Object.entries(brought)) {
    it(`name the replacement of ${option}`, () => {
      expect(refusal(option))
        .to.match(new RegExp(`^passthroughProxy: unknown option "${option}"; `))
        .and.contain(words)
        .and.not.contain('did you mean')
    })
  }

  for (const peer of peers.filter((name) => !name.startsWith('the events'))) {
    it(`name one for every option of ${peer}`, function () {
      if (needsNode22(peer) && !isNode22Installed) this.skip()
      const names = namesOf(peer)
      expect(names).to.have.length.above(6)
      for (const name of names) expect(refusal(name), name).to.not.match(/did you mean|the options are/)
    })
  }

  it('have no entry for an option that exists here, nor for a member of every object', async () => {
    const { namesElsewhere } = (await import(`${root}/dist/esm/passthrough-proxy/names-elsewhere.js`)) as {
      namesElsewhere: Readonly<Record<string, string>>
    }
    for (const name of Object.keys(namesElsewhere)) refusal(name)
    expect(refusal('constructor')).to.contain('the options are dispatcher, ')
  })

  it('are also given for options in the place of the target', () => {
    const options = { target: 'http://u:secret@127.0.0.1', changeOrigin: true }
    expect(() => passthroughProxy(options as never))
      .to.throw(TypeError, /got an object; call passthroughProxy\(target, options\)/)
      .with.property('message')
      .that.does.not.contain('secret')
  })
})

describe('passthroughProxy: an unknown option', () => {
  it('suggests only an option that is spelled alike', () => {
    expect(refusal('preserveHosts')).to.contain('did you mean "preserveHost"?')
    expect(refusal('connectTimeout')).to.contain('did you mean "connectTimeoutMs"?')
    for (const name of ['requests', 'hook', 'pattern', 'redirects', 'caching', 'balance', 'it']) {
      expect(refusal(name)).to.contain('; the options are dispatcher, ').and.not.contain('did you mean')
    }
  })
})

describe('the other middlewares: options of other packages', () => {
  const server = createServer()
  const cases: readonly (readonly [string, (options: never) => unknown, string])[] = [
    ['verify', bodyCache, 'req.bodyCache.buffer()'],
    ['inflate', bodyCache, 'req and stream() have the bytes of the wire'],
    ['extended', bodyCache, 'urlencoded()'],
    ['dest', bodyCache, 'it is "directory" here'],
    ['inflate', (options: object) => maxBytes({ limit: 1, ...options }), 'parseLimit of bodyCache'],
    ['fileSize', maxBytes, 'it is "limit" here'],
    ['message', (options: object) => maxBytes({ limit: 1, ...options }), 'the error handlers of Express'],
    ['threshold', autoFlush, 'give it to compression()'],
    ['keepAlive', autoFlush, 'it is "heartbeatMs" here'],
    ['verifyClient', (options) => attach(server, () => {}, options), 'upgrades run through the app'],
  ]
  for (const [option, create, words] of cases) {
    it(`name the replacement of ${option}: ${words}`, () => {
      expect(() => create({ [option]: 1 } as never)).to.throw(
        TypeError,
        new RegExp(`unknown option "${option}"; .*${words.replaceAll(/[()]/g, '\\$&')}`),
      )
    })
  }
})
