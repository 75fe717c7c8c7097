import { expect } from 'chai'
import { proxied, request } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'

describe('relayed by fast-proxy and express-http-proxy', () => {
  afterEach(closeServers)

  for (const raw of [
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 5',
  ]) {
    it(`${JSON.stringify(raw)} is a 502`, async () => {
      const { exchange } = await proxied()
      const { response } = await exchange(
        request('GET', '/'),
        `HTTP/1.1 200 OK\r\n${raw}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      )
      expect(response.status).to.equal(502)
    })
  }
})
