import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'

describe("express-http-proxy's shared headers", () => {
  afterEach(closeServers)

  it("one client's Authorization is in no other's request", async () => {
    const { exchange } = await proxied({ onRequest: ({ headers }) => headers.set('X-Hook', '1') })
    const { seen } = await exchange(request('GET', '/', 'Authorization: Bearer alice', 'Cookie: a=1'))
    expect(seen).to.contain('Bearer alice')
    const { seen: next } = await exchange(request('GET', '/'))
    expect(next).not.to.match(/alice|cookie/i)
  })
})
