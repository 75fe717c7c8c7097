import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

/*
 * pino-http logs "request aborted" if `req.readableAborted` is true when its response closes. Behind bodyCache it was
 * false for each upload whose client had left, since the request is made unread for later readers.
 */

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'

const bodies: Record<string, string> = {
  'has sent a part of its body': `${HEAD}Content-Length: 100\r\n\r\n{"a":`,
  'has sent its body': `${HEAD}Content-Length: 2\r\n\r\n{}`,
  'has sent one chunk': `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`,
}

/** The readers of a body. None of them reads a whole body to its end, which takes Node until the next tick. */
const readers: Record<string, (req: IncomingMessage) => unknown> = {
  'no reader': () => {},
  'a listener': (req) => req.on('data', () => {}).on('error', () => {}),
  'express.json()': (req) => express.json()(req, {} as never, () => {}),
  'a loop': (req) => text(req).catch(() => {}),
}

for (const { name, mount } of hosts) {
  describe(`req.readableAborted behind bodyCache on ${name}`, () => {
    afterEach(closeServers)

    /** What a logger finds when the response closes, after its client has left, or has its answer. */
    async function found(
      before: readonly Handler[],
      read: (req: IncomingMessage) => unknown,
      sent: string,
      isAnswered: boolean,
    ): Promise<boolean> {
      const told = deferred<boolean>()
      const reached = deferred()
      const run: Handler = async (req, res) => {
        res.on('close', () => told.resolve(req.readableAborted))
        read(req)
        // The turn in which a body that has come is read to its end.
        await new Promise(setImmediate)
        if (isAnswered) res.end('answered')
        reached.resolve()
      }
      const { port } = await serve(mount(...before, run))
      const client = await RawClient.connect(port)
      client.write(sent)
      await reached.promise
      if (isAnswered) await client.response()
      client.destroy()
      return told.promise
    }

    for (const [reader, read] of Object.entries(readers)) {
      for (const [state, sent] of Object.entries(bodies)) {
        for (const isAnswered of [false, true]) {
          it(`is what it is without bodyCache for a client that ${state}${isAnswered ? ', and is answered' : ', and leaves'}, with ${reader}`, async () => {
            const expected = await found([], read, sent, isAnswered)
            expect(await found([bodyCache()], read, sent, isAnswered)).to.equal(expected)
          })
        }
      }
    }

    it('is true for a client that has left, even for a reader after that', async () => {
      const reached = deferred()
      const late = deferred<[boolean, unknown]>()
      const run: Handler = async (req, res) => {
        reached.resolve()
        await once(res, 'close')
        const failure = await text(req).catch((error: unknown) => error)
        late.resolve([req.readableAborted, failure])
      }
      const { port } = await serve(mount(bodyCache(), run))
      const client = await RawClient.connect(port)
      client.write(bodies['has sent one chunk']!)
      await reached.promise
      client.destroy()
      const [isAborted, failure] = await late.promise
      expect(isAborted).to.equal(true)
      expect(failure).to.be.an('error')
    })
  })
}
