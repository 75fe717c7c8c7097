import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { bodyCache, maxBytes } from 'sluiceway'
import { asChunk, RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { closed } from '../support/process/open-resources.js'
import { allClosedIn, emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, serve } from '../support/servers/servers.js'
import { until } from '../support/time/until.js'

/** Handlers that stop in the middle of a body, and never answer. Bare Node notices when their client leaves. */
const stopping: Record<string, Handler> = {
  'removes its listener and pauses': (req) => {
    const take = (): void => void req.off('data', take).pause()
    req.on('data', take)
  },
  'leaves an iterator': async (req) => {
    for await (const chunk of req) if (chunk) break
  },
  'opens a stream and does not read it': (req) =>
    req.bodyCache === undefined ? req.pipe(new PassThrough({ highWaterMark: 1e6 })) : req.bodyCache.stream(),
  'opens a stream and destroys it': (req) =>
    req.bodyCache === undefined
      ? req.resume()
      : req.bodyCache
          .stream()
          .on('error', () => {})
          .destroy(),
}

function isUnread(what: string): boolean {
  return what.startsWith('opens a stream')
}

for (const { name, mount } of hosts) {
  describe(`a body that is not read to its end, on ${name}`, () => {
    afterEach(closeServers)
    afterEach(removeDirectories)

    for (const [what, handler] of Object.entries(stopping)) {
      for (const kept of [false, true]) {
        // Node's own iterator destroys a request that is left, and reads no more of its connection.
        if (!kept && what === 'leaves an iterator') continue
        it(`${what}: the connection closes when the client leaves, ${kept ? 'with' : 'without'} bodyCache`, async () => {
          const directory = emptyDirectory()
          const { port, connections } = await serve(
            mount(...(kept ? [bodyCache({ memory: 100, directory })] : []), handler),
          )
          const client = await RawClient.connect(port)
          client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n`)
          // Each piece fits into the buffer of a request, on Node 20 too; both together do not.
          for (const total of [10_000, 20_000]) {
            if (total === 20_000 && isUnread(what)) break
            client.write(Buffer.alloc(10_000))
            await until(() => (connections[0]?.bytesRead ?? 0) > total)
            await new Promise(setImmediate)
          }
          client.destroy()
          await closed(connections[0]!)
          await allClosedIn(directory)
        })
      }
    }

    for (const kept of [false, true]) {
      it(`is refused after the application has ended its half: the connection ends after lingerMs, ${kept ? 'with' : 'without'} bodyCache`, async () => {
        const directory = emptyDirectory()
        const limit = maxBytes({ limit: 20_000, lingerMs: 50 })
        const endHalf: Handler = (req) => req.on('error', () => {}).once('data', () => req.socket.end())
        const { port, connections } = await serve(
          mount(limit, ...(kept ? [bodyCache({ memory: 100, directory })] : []), endHalf),
        )
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('begin'))
        await once(client.socket, 'end')
        client.write(asChunk(Buffer.alloc(300_000)))
        await closed(connections[0]!)
        await allClosedIn(directory)
        expect(connections).to.have.length(1)
        client.destroy()
      })

      it(`is refused, and the application then ends its half: the connection ends after lingerMs, ${kept ? 'with' : 'without'} bodyCache`, async () => {
        const directory = emptyDirectory()
        const limit = maxBytes({ limit: 20_000, lingerMs: 50 })
        const endHalf: Handler = (req) => req.on('data', () => {}).on('error', () => req.socket.end())
        const { port, connections } = await serve(
          mount(limit, ...(kept ? [bodyCache({ memory: 100, directory })] : []), endHalf),
        )
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', asChunk('begin'))
        client.write(asChunk(Buffer.alloc(300_000)))
        await closed(connections[0]!)
        await allClosedIn(directory)
        client.destroy()
      })
    }
  })
}
