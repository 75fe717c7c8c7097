import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'
import { linesOf } from './advisories.js'

describe('golang/go#50580 (Go, net/http/httputil.ReverseProxy)', () => {
  afterEach(closeServers)

  it('a client cannot delete a header of the proxy by naming it in Connection', async () => {
    const { exchange } = await proxied({ onRequest: ({ headers }) => headers.set('X-User', 'alice') })
    const { seen } = await exchange(
      request('GET', '/', 'Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-User'),
    )
    expect(linesOf(seen)).to.have.members([
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-host: test',
      'x-forwarded-proto: http',
      'x-user: alice',
    ])
  })
})
