import { Readable } from 'node:stream'
import { expect } from 'chai'
import { proxied } from '../support/servers/proxied.js'
import { closeServers } from '../support/servers/servers.js'

describe('r3verii 2026 (Node, ClientRequest.path)', () => {
  afterEach(closeServers)

  it('no object that is changed later reaches the wire', async () => {
    let kept: { path: string; headers: { set(name: string, value: string): void } } | undefined
    const { client, upstream } = await proxied({
      onRequest(outgoing) {
        kept = outgoing
        outgoing.body = Readable.from(later())
      },
    })
    async function* later(): AsyncGenerator<Buffer> {
      await Promise.resolve()
      if (kept !== undefined) kept.path = '/ HTTP/1.1\r\n\r\nGET /smuggled'
      kept?.headers.set('X-Late', 'a\r\nX-Smuggled: 1')
      yield Buffer.from('body')
    }
    client.request('POST', '/sent', {}, 'x')
    const connection = await upstream.connection()
    const seen = await connection.untilText('0\r\n\r\n')
    expect(seen)
      .to.match(/^POST \/sent HTTP/)
      .and.not.match(/smuggled|X-Late/i)
  })
})
