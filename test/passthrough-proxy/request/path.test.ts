import { expect } from 'chai'
import { passthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

for (const { name, express } of expressVersions) {
  /** The path the upstream was asked for, or the status of a refusal. */
  async function asked(path: string, { prefix = '', mount = '/' } = {}): Promise<string | number> {
    const upstream = await scriptedUpstream()
    const { port } = await serve(express().use(mount, passthroughProxy(`${upstream.url}${prefix}`)))
    const client = await RawClient.connect(port)
    client.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
    return Promise.race([
      client.response().then(({ status }) => status),
      upstream.connection().then(async (connection) => {
        const line = await connection.untilText('\r\n')
        connection.write(answer())
        return line.slice('GET '.length, -' HTTP/1.1\r\n'.length)
      }),
    ])
  }

  describe(`passthroughProxy and the path (${name})`, () => {
    afterEach(closeServers)

    for (const path of [
      '/',
      '/a%2Fb',
      '/a//b///c',
      '//evil.example/x',
      '///x',
      '/a;p=1/b',
      '/%zz%',
      '/%00',
      '/a?x=1&x=2;y=%zz&&=',
      '/?',
      '/@evil.example',
      '/\\evil.example',
      '/a/../b',
      '/../../x',
      '/%2e%2e/x',
      "/!$&'()*+,=:@[]{}|^`~",
      '/a?b=../../c',
    ]) {
      it(`passes on ${path} byte for byte`, async () => {
        expect(await asked(path)).to.equal(path)
        if (!/^\/(?:\.\.|%2e)/.test(path)) {
          expect(await asked(path, { prefix: '/base' })).to.equal(`/base${path}`)
        }
      })
    }

    for (const [path, prefix, expected] of [
      ['http://evil.example/x?y', '', '/x?y'],
      ['http://evil.example/x', '/base', '/base/x'],
      ['http://evil.example', '/base', '/base/'],
      ['HTTP://user@evil.example:81/x//y', '', '/x//y'],
    ] as const) {
      it(`asks the target, not the authority of ${path} (prefix "${prefix}")`, async () => {
        expect(await asked(path, { prefix })).to.equal(expected)
      })
    }

    for (const path of [
      '/..',
      '/../',
      '/../x',
      '/a/../../x',
      '/%2e%2e/x',
      '/.%2E/x',
      '/%2e./x',
      '/a%2f..%2f..%2fx',
      '/..%5cx',
      '/..\\x',
      '/..;a=b/x',
      '/..%3ba/x',
      '/a//../../x',
      '/./../x',
      'http://evil.example/../x',
      '/..?x',
      // nginx reads neither as a slash.
      '/x\\y/../../a',
      '/x%5Cy/../../a',
      // WHATWG URL.
      '/x%2fy/../../a',
      // Tomcat takes the parameters away, and joins the slashes.
      '/;/../a',
      '/;x=1/../a',
      '/%3bx/../a',
      '/..;%2fx/a',
      // IIS.
      '/%u002e%u002E/x',
      // To some no fragment begins here.
      '/#/../../a',
      '/..#x',
    ]) {
      it(`refuses ${path}, which would leave the target's prefix`, async () => {
        expect(await asked(path, { prefix: '/base' })).to.equal(400)
      })
    }

    it("accepts dot segments that stay below the target's prefix", async () => {
      for (const path of ['/a/b/../c', '/a;v=1/../b', '/a%2Fb/../c', '/a/..', '/a/b%2f..', '/%252e%252e/a']) {
        expect(await asked(path, { prefix: '/base' })).to.equal(`/base${path}`)
      }
    })

    it('strips the part that Express strips for a mount, and nothing else', async () => {
      expect(await asked('/api/x%2Fy?z', { mount: '/api' })).to.equal('/x%2Fy?z')
      expect(await asked('/api?z', { mount: '/api', prefix: '/v1/' })).to.equal('/v1/?z')
      expect(await asked('/api/x//evil.example', { mount: '/api' })).to.equal('/x//evil.example')
    })

    for (const [path, prefix, expected] of [
      ['/api', '', '/'],
      ['/api?x', '', '/?x'],
      ['/api', '/v1', '/v1'],
      ['/api?x', '/v1/', '/v1/?x'],
      ['/api/x', '/v1', '/v1/x'],
    ] as const) {
      it(`asks for ${expected} if a handler has cut /api off ${path} itself`, async () => {
        const upstream = await scriptedUpstream()
        const proxy = passthroughProxy(`${upstream.url}${prefix}`)
        const app = express().use((req, res, next) => {
          req.url = req.url.replace(/^\/api/, '')
          proxy(req, res, next)
        })
        const client = await RawClient.connect((await serve(app)).port)
        client.request('GET', path)
        expect(await (await upstream.connection()).untilText('\r\n')).to.equal(`GET ${expected} HTTP/1.1\r\n`)
      })
    }

    it('answers 400 to OPTIONS *', async () => {
      const upstream = await scriptedUpstream()
      const proxy = passthroughProxy(upstream.url)
      const { port } = await serve((req, res) => {
        proxy(req, res, (error) => {
          res.statusCode = (error as { status: number }).status
          res.end()
        })
      })
      const client = await RawClient.connect(port)
      client.write('OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n')
      expect((await client.response()).status).to.equal(400)
    })
  })
}
