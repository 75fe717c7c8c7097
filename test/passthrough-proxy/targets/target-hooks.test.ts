import { expect } from 'chai'
import { expressVersions } from '../../support/express/express-versions.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { type Given, giveEach } from '../watched.js'

for (const { name, express } of expressVersions) {
  describe(`passthroughProxy hooks (${name})`, () => {
    let upstream: ScriptedUpstream
    let errors: Given['errors']
    let client: Given['client']

    giveEach(express, (given) => ({ upstream, errors, client } = given))

    for (const [what, target] of [
      [
        'throws',
        () => {
          throw new Error('secret')
        },
      ],
      [
        'rejects',
        async () => {
          throw new Error('secret')
        },
      ],
      ['gives no URL', () => 'somewhere'],
      ['gives nothing', () => undefined as never],
      ['gives an object without a text', () => Object.create(null) as never],
      ['gives a list', () => ['http://127.0.0.1:9'] as never],
    ] as [string, () => string][]) {
      it(`answers 500 where the target function ${what}`, async () => {
        const sender = await client({}, target)
        sender.request('GET', '/')
        expect((await sender.response()).status).to.equal(500)
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
      })
    }

    it('says what to do with a request without a target', async () => {
      const sender = await client({}, () => undefined)
      sender.request('GET', '/')
      await sender.response()
      expect((errors[0] as Error).cause)
        .to.have.property('message')
        .that.includes('target is missing for this request; a middleware before the proxy can answer')
    })

    it('refuses a list also if its text is a target that is known', async () => {
      let isFirst = true
      const sender = await client({}, (_req, failed) => {
        if (failed !== undefined) return undefined
        const target = isFirst ? 'http://127.0.0.1:9' : (['http://127.0.0.1:9'] as never)
        isFirst = false
        return target
      })
      for (const status of [502, 500]) {
        sender.request('GET', '/')
        expect((await sender.response()).status).to.equal(status)
      }
    })

    it('asks the target function for each request', async () => {
      const other = await scriptedUpstream()
      const sender = await client({}, async (req) =>
        req.url === '/other' ? `${other.url}/base` : new URL(upstream.url),
      )
      sender.request('GET', '/one')
      const connection = await upstream.connection()
      await connection.untilText('GET /one ')
      connection.write(answer())
      await sender.response()
      sender.request('GET', '/other')
      const second = await other.connection()
      await second.untilText('GET /base/other ')
      second.write(answer())
      await sender.response()
      sender.request('POST', '/again', {}, 'body')
      await connection.untilText('body')
      connection.write(answer())
      await sender.response()
    })

    it('path gives the path to ask for', async () => {
      const sender = await client({
        path: (req) => `/v2${(req as unknown as { originalUrl: string }).originalUrl}`,
      })
      sender.request('GET', '/x?y')
      const connection = await upstream.connection()
      expect(await connection.untilText('\r\n')).to.equal('GET /v2/x?y HTTP/1.1\r\n')
    })

    for (const path of [
      () => 'x',
      () => undefined as never,
      () => '/a\r\nb',
      () => {
        throw new Error('secret')
      },
    ]) {
      it(`answers with an error if path is ${String(path)}`, async () => {
        const sender = await client({ path })
        sender.request('GET', '/')
        expect((await sender.response()).status).to.equal(500)
        expect(errors[0]).to.have.property('code', 'ERR_SLUICEWAY_PROXY_HOOK')
        expect(upstream.accepted).to.equal(0)
      })
    }
  })
}
