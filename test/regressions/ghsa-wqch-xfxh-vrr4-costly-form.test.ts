import { expect } from 'chai'
import { closeServers } from '../support/servers/servers.js'
import { posted } from './advisories.js'

describe('GHSA-wqch-xfxh-vrr4, CVE-2024-45590', () => {
  afterEach(closeServers)

  for (const [what, form] of [
    ['parameters', 'a=1&'.repeat(250_000)],
    ['nesting', `a${'[b]'.repeat(300_000)}=1`],
    ['unclosed brackets', `a${'['.repeat(300_000)}=1`],
  ] as const) {
    it(`a form of much ${what} is refused, or read, before it costs much`, async function () {
      this.timeout(2000)
      const { status } = await posted((req) => req.bodyCache.urlencoded(), form)
      expect(status).to.be.oneOf(what === 'unclosed brackets' ? [200, 400] : [400])
    })
  }
})
