import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'

describe('GHSA-2q7r-29rg-6m5h, CVE-2021-21321, CVE-2021-21322 (@fastify/reply-from and @fastify/http-proxy)', () => {
  afterEach(closeServers)

  for (const path of ['/%2E%2E/secret', '/%2e%2E/%2e./secret', '/..%2fsecret', '/a/../../secret']) {
    it(`${path} does not leave the target's prefix`, async () => {
      const { client, upstream } = await proxied({ prefix: '/base' })
      client.write(request('GET', path))
      expect((await client.response()).status).to.equal(400)
      expect(upstream.accepted).to.equal(0)
    })
  }
})
