import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, maxBytes, passthroughProxy, type RequestHook } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'

/** More than all buffers on the way to the upstream hold, and less than is discarded after an answer. */
const MUCH = Buffer.alloc(12 * 1024 * 1024)

const fronts: Record<string, readonly Handler[]> = {
  alone: [],
  'behind maxBytes': [maxBytes('100mb')],
  'behind bodyCache': [bodyCache({ limit: '100mb' })],
}

const hooks: Record<string, RequestHook | undefined> = {
  '': undefined,
  ' through a transform': (outgoing) => {
    if (outgoing.body !== null) outgoing.pipeThrough(new PassThrough())
  },
}

for (const { name: host, mount } of hosts) {
  describe(`passthroughProxy with an upload that is answered before its end (${host})`, () => {
    let upstream: ScriptedUpstream
    let counted: number
    let answerHere: () => void
    beforeEach(async () => {
      upstream = await scriptedUpstream()
      counted = 0
    })
    afterEach(closeServers)

    /** Starts an upload that the upstream does not read, in front of a proxy beside which other code may count. */
    async function upload(front: readonly Handler[], onRequest: RequestHook | undefined, counts: boolean) {
      const proxy = passthroughProxy(upstream.url, { onRequest })
      const handler: Handler = (req, res, next) => {
        if (req.url === '/next') return res.end('next')
        answerHere = () => {
          res.statusCode = 503
          res.end('busy')
        }
        if (counts) req.on('data', ({ length }: Buffer) => (counted += length))
        return proxy(req, res, next)
      }
      const client = await RawClient.connect((await serve(mount(...front, handler))).port)
      client.write('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk(MUCH))
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      connection.socket.pause()
      return { client, connection }
    }

    async function expectNextServed(client: RawClient): Promise<void> {
      client.write(lastChunk)
      client.request('GET', '/next')
      expect((await client.response()).body.toString()).to.equal('next')
    }

    for (const [where, front] of Object.entries(fronts)) {
      for (const [how, hook] of Object.entries(hooks)) {
        for (const counts of [false, true]) {
          const beside = counts ? ', beside code that counts its bytes' : ''

          it(`serves the next request of its client after an answer of the upstream (${where}${how}${beside})`, async () => {
            const { client, connection } = await upload(front, hook, counts)
            connection.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
            expect((await client.response()).status).to.equal(403)
            await expectNextServed(client)
            if (counts) expect(counted).to.equal(MUCH.length)
          })

          it(`serves the next request of its client after an answer of another handler (${where}${how}${beside})`, async () => {
            const { client } = await upload(front, hook, counts)
            answerHere()
            expect((await client.response()).status).to.equal(503)
            await expectNextServed(client)
            if (counts) expect(counted).to.equal(MUCH.length)
          })
        }
      }
    }
  })
}
