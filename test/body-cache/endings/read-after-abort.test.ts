import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { bodyCache } from 'sluiceway/body-cache'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

/*
 * A reader that has heard that its client has left, and another one after it: Node marked the state that was renewed for
 * the later reader with the error of the earlier one, and the later one waited for ever.
 */

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n'

type Read = (req: IncomingMessage) => Promise<unknown>

function listen(event: 'data' | 'readable', encoding?: BufferEncoding): Read {
  return async (req) => {
    if (encoding !== undefined) req.setEncoding(encoding)
    req.on(event, () => req.read())
    await once(req, 'end')
  }
}

const readers: Record<string, Read> = {
  "on('data')": listen('data'),
  "on('readable')": listen('readable'),
  "setEncoding and on('data')": listen('data', 'utf8'),
  pipe: async (req) => {
    await buffer(req.pipe(new PassThrough()))
  },
  pipeline: (req) => pipeline(req, new PassThrough().resume()),
  'a loop': (req) => buffer(req),
}

const leaving: Record<string, (client: RawClient) => void> = {
  'closes its connection': (client) => client.destroy(),
  'ends its half': (client) => client.socket.end(),
}

async function codeOf(reading: Promise<unknown>): Promise<unknown> {
  return reading.then(
    () => 'read',
    (error: unknown) => (error as { code?: string }).code,
  )
}

for (const { name, mount } of hosts) {
  describe(`bodyCache, read again after its client has left, on ${name}`, () => {
    afterEach(closeServers)

    for (const [how, leave] of Object.entries(leaving)) {
      for (const [first, read] of Object.entries(readers).filter(([reader]) => reader !== 'pipe')) {
        for (const [later, readAgain] of Object.entries(readers)) {
          it(`tells ${later} after ${first} if the client ${how}`, async () => {
            const reading = deferred()
            const told = deferred<readonly unknown[]>()
            const run: Handler = async (req) => {
              const heard: unknown[] = []
              req.on('error', (error: Error & { code?: string }) => heard.push(error.code))
              reading.resolve()
              const before = await codeOf(read(req))
              const after = await codeOf(readAgain(req))
              told.resolve([before, after, heard])
            }
            const { port } = await serve(mount(bodyCache(), run))
            const client = await RawClient.connect(port)
            client.write(`${HEAD}a part`)
            await reading.promise
            leave(client)
            const [before, after, heard] = await told.promise
            expect(before).to.equal('ECONNRESET')
            expect(after).to.be.oneOf([
              'ERR_SLUICEWAY_BODY_ABORTED',
              'ECONNRESET',
              'ERR_STREAM_PREMATURE_CLOSE',
            ])
            // A listener that has heard Node's own error hears no other.
            expect(heard).to.deep.equal(['ECONNRESET'])
          })
        }
      }
    }
  })
}
