import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { passthroughProxy, pipeChild } from 'sluiceway'
import { sh } from '../pipe-child/piped.js'
import { transports } from '../support/clients/pipelined.js'
import { RawClient } from '../support/clients/raw-client.js'
import { type Handler, hosts } from '../support/express/hosts.js'
import { observing } from '../support/observed.js'
import { emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { scriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'

/** The ways in which an application turns chunks off, as for a player or a device that does not know them. */
const unframed: Record<string, (res: ServerResponse) => void> = {
  'without Transfer-Encoding': (res) => res.removeHeader('Transfer-Encoding'),
  'with useChunkedEncodingByDefault false': (res) => (res.useChunkedEncodingByDefault = false),
}

for (const { name, mount } of hosts) {
  describe(`a body that ends with its connection, on ${name}`, () => {
    afterEach(closeServers)

    for (const [how, setUp] of Object.entries(unframed)) {
      const before: Handler = (_req: IncomingMessage, res, next) => {
        setUp(res)
        next()
      }

      it(`is cut by a reset if it fails, and not by an end: the output of a child, ${how}`, async () => {
        const stdin = new PassThrough()
        const run: Handler = (_req, res) => void pipeChild(res, sh('cat'), { stdin }).catch(() => {})
        const { port } = await serve(mount(before, run))
        const client = await asked(port)
        stdin.write('half')
        await client.untilText('half')
        stdin.destroy(new Error('source'))
        expect(await endOf(client)).to.match(/^connection failed \(ECONNRESET\)/)
      })

      it(`is cut by a reset if it fails, and not by an end: the answer of an upstream, ${how}`, async () => {
        const upstream = await scriptedUpstream()
        const { port } = await serve(mount(before, passthroughProxy(upstream.url)))
        const client = await asked(port)
        const connection = await upstream.connection()
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
        await client.untilText('half')
        connection.socket.resetAndDestroy()
        expect(await endOf(client)).to.match(/^connection failed \(ECONNRESET\)/)
      })
    }
  })
}

describe('a body that ends with its connection, where nothing can be reset', () => {
  const observer = observing()
  afterEach(closeServers)
  afterEach(removeDirectories)

  async function overUnixSocket(app: RequestListener): Promise<RawClient> {
    const path = join(emptyDirectory(), 'socket')
    await listen(createServer(app), { path })
    const socket = net.connect({ path })
    await once(socket, 'connect')
    return RawClient.over(socket)
  }

  async function overTls(app: RequestListener): Promise<RawClient> {
    const secure = transports.find(({ name }) => name === 'https')!
    return secure.connect((await secure.serve(app)).port)
  }

  for (const [where, connect] of Object.entries({ 'a Unix socket': overUnixSocket, TLS: overTls })) {
    it(`is cut without an exception: over ${where}`, async () => {
      const contained = observer.messages('sluiceway:contained')
      const upstream = await scriptedUpstream()
      const client = await connect(hosts[0]!.mount(passthroughProxy(upstream.url)))
      client.write('GET / HTTP/1.0\r\n\r\n')
      const connection = await upstream.connection()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
      await client.untilText('half')
      connection.socket.resetAndDestroy()
      await client.closed()
      expect(contained).to.deep.equal([])
    })
  }
})

async function asked(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  return client
}

/** Returns why the rest of the body never came. */
function endOf(client: RawClient): Promise<string> {
  return client.untilText('whole').catch((error: Error) => error.message)
}
