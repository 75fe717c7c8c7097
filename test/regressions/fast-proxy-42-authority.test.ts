import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'

describe('fastify/fast-proxy#42', () => {
  afterEach(closeServers)

  for (const path of ['//evil.example/x', '///evil.example/x', '/\\evil.example/x', '/%2F/evil.example']) {
    it(`${path} is a path, not an authority`, async () => {
      const { exchange } = await proxied()
      const { seen } = await exchange(request('GET', path))
      expect(seen.startsWith(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:`)).to.equal(true)
    })
  }
})
