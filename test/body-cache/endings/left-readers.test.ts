import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

/*
 * A client may leave once it has sent its whole body, while a reader is in the middle of it. Behind bodyCache the
 * request closed without an error: code that listens for 'end' and 'error' waited for ever.
 */

/** Three chunks, small enough for the connection to be read on, so that Node notices that its client leaves. */
const body = [1, 2, 3].map((byte) => asChunk(Buffer.alloc(3000, byte)))

/** Takes a first chunk and no other. */
const stuck = (): Writable => new Writable({ highWaterMark: 1, write: () => {} })

const readers: Record<string, (req: IncomingMessage) => Promise<unknown>> = {
  'a listener for data': (req) =>
    once(
      req.on('data', () => req.pause()),
      'end',
    ),
  'a listener for readable': (req) =>
    once(
      req.on('readable', () => req.read(1)),
      'end',
    ),
  'a listener for aborted': async (req) => {
    req.on('error', () => {}).pipe(stuck())
    await once(req, 'aborted')
    throw Object.assign(new Error('aborted'), { code: 'told' })
  },
  'a pipe': (req) =>
    once(
      req.on('data', () => {}),
      'end',
      void req.pipe(stuck()),
    ),
  'a pipeline': (req) => pipeline(req, stuck()),
  'a loop': async (req) => {
    for await (const _chunk of req) await once(req.socket, 'close')
  },
  'a web stream': async (req) => {
    const reader = Readable.toWeb(req).getReader()
    await once(req.socket, 'close')
    while (!(await reader.read()).done);
  },
}

const readBefore: Handler = (req, _res, next) => void text(req).then(() => next(), next)

for (const { name, mount } of hosts) {
  describe(`a reader in the middle of a body, on ${name}, whose client has sent all of it and leaves`, () => {
    afterEach(closeServers)

    /** The code of the error that a reader gets, or 'read'. */
    async function outcome(
      before: readonly Handler[],
      read: (req: IncomingMessage) => Promise<unknown>,
    ): Promise<string | undefined> {
      const begun = deferred()
      const ended = deferred<string | undefined>()
      const run: Handler = async (req) => {
        while (!req.complete) await new Promise(setImmediate)
        const reading = read(req)
        reading.then(
          () => ended.resolve('read'),
          (error: NodeJS.ErrnoException) => ended.resolve(error.code),
        )
        await new Promise(setImmediate)
        begun.resolve()
      }
      const { port } = await serve(mount(...before, run))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', ...body, lastChunk)
      await begun.promise
      client.destroy()
      return ended.promise
    }

    for (const [title, read] of Object.entries(readers)) {
      it(`gets the error that it gets without bodyCache: ${title}`, async () => {
        const expected = await outcome([], read)
        expect(await outcome([bodyCache()], read)).to.equal(expected)
        expect(await outcome([bodyCache(), readBefore], read), 'as a second reader').to.equal(expected)
        expect(await outcome([bodyCache({ memory: 4000 })], read), 'from a file').to.equal(expected)
      })
    }
  })
}
