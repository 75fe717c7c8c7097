import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, maxBytes, pipeChild } from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import type { Handler } from '../support/express/hosts.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { sh } from './piped.js'

/** Writes bytes, and returns the error if they could not be sent. */
async function write(to: Writable, bytes: Buffer): Promise<Error | undefined> {
  return new Promise((resolve) => void to.write(bytes, (error) => resolve(error ?? undefined)))
}

describe('the rest of a request that no child reads, before its connection closes', () => {
  afterEach(closeServers)

  const nothing: Handler = (_req, _res, next) => next()

  for (const [what, before] of [
    ['alone', nothing],
    ['behind maxBytes', maxBytes('10mb')],
    ['behind bodyCache', bodyCache()],
  ] as [string, Handler][]) {
    it(`is taken after the response, which a reset would cut: ${what}`, async () => {
      const { port } = await serve((req, res) =>
        before(req, res, () => void pipeChild(res, sh('exec <&-; echo out'), { stdin: req })),
      )
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n')
      expect((await client.response()).body.toString()).to.equal('out\n')
      const sent = await Promise.all([1, 2, 3].map(() => write(client.socket, Buffer.alloc(1_000_000))))
      expect(sent).to.deep.equal([undefined, undefined, undefined])
      await client.closed()
    })
  }

  /** Asks for the output of a child that reads nothing, and returns both ends once it has come, before the body. */
  async function answeredEarly(): Promise<{ client: RawClient; closed: Promise<unknown> }> {
    const { server, port } = await serve((req, res) => {
      void pipeChild(res, sh('exec <&-; echo out'), { stdin: req })
    })
    const connected = once(server, 'connection') as Promise<[Socket]>
    const client = await RawClient.connect(port)
    const [connection] = await connected
    client.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n')
    await client.response()
    // `once` would reject: Node reports on the connection what comes behind the body, or is missing of it.
    return { client, closed: new Promise((resolve) => connection.once('close', resolve)) }
  }

  it('is followed by no answer to what comes behind it', async () => {
    const { client, closed } = await answeredEarly()
    client.write('0123456789GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await closed
    await client.closed()
    expect(client.pending.toString()).to.equal('')
  })

  it('is followed by no request, as nothing could answer it', async () => {
    const served: unknown[] = []
    const { server, port } = await serve((req, res) => {
      served.push(req.url)
      res.setHeader('Connection', 'close')
      void pipeChild(res, sh('exec <&-; echo out'), { stdin: req })
    })
    const connected = once(server, 'connection') as Promise<[Socket]>
    const client = await RawClient.connect(port)
    const [connection] = await connected
    const closed = once(connection, 'close')
    client.write('POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')
    await client.response()
    client.write('0123456789GET /second HTTP/1.1\r\nHost: a\r\n\r\n')
    await closed
    expect(served).to.deep.equal(['/first'])
  })

  it('does not keep the connection open if it does not come', async () => {
    const { closed } = await answeredEarly()
    await closed
  })

  it('does not keep the connection open if its client leaves', async () => {
    const { client, closed } = await answeredEarly()
    client.write('01234')
    client.destroy()
    await closed
  })
})
