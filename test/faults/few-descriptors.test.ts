import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { hosts } from '../support/express/hosts.js'
import { emptyDirectory, removeDirectories } from '../support/process/temporary-files.js'
import { closeServers, serve, type TestServer } from '../support/servers/servers.js'

const program = fileURLToPath(new URL('few-descriptors-server.js', import.meta.url))
/** More than one chunk: a body of one chunk is served without a file. */
const body = Buffer.alloc(300_000, 'kept in a file; ')

for (const { name } of hosts) {
  describe(`a process that has no file descriptor left (${name})`, function () {
    let server: ChildProcess
    let upstream: TestServer
    let port: number

    before(async function () {
      if (process.platform === 'win32') this.skip()
      upstream = await serve((req, res) => res.end(`upstream has ${req.url}`))
      const words = [process.execPath, program, name, upstream.url, emptyDirectory()]
      server = spawn('sh', ['-c', 'ulimit -n 128; exec "$@"', 'sh', ...words], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      })
      port = ((await once(server, 'message')) as [number])[0]
    })
    after(async () => {
      server.send('close')
      await once(server, 'exit')
      await closeServers()
      removeDirectories()
    })

    async function ask(wish: string): Promise<number> {
      server.send(wish)
      return ((await once(server, 'message')) as [number])[0]
    }

    async function request(method: string, path: string): Promise<[status: number, body: string]> {
      const client = await RawClient.connect(port)
      client.request(method, path, {}, method === 'POST' ? body : undefined)
      const { status, body: answer } = await client.response()
      client.destroy()
      return [status, answer.toString()]
    }

    for (const [what, method, path, statuses, served] of [
      ['a body that belongs in a file', 'POST', '/read', [503], body.toString()],
      [
        'a request that needs a connection to its upstream',
        'GET',
        '/proxied',
        [502],
        'upstream has /proxied',
      ],
      // Both are missing; whichever is missed first.
      [
        'a request that needs a file and a connection',
        'POST',
        '/proxied',
        [502, 503],
        'upstream has /proxied',
      ],
      ['a request that starts a child', 'GET', '/child', [500], 'said\n'],
    ] as const) {
      it(`refuses ${what} with ${statuses.join(' or ')}, and serves it once descriptors are free`, async () => {
        const before = await ask('count')
        for (let round = 0; round < 3; round++) {
          const client = await RawClient.connect(port)
          // Answered, so accepted.
          client.request('GET', '/child')
          expect((await client.response()).status).to.equal(200)
          // What the child and the round before still hold would come free behind the take.
          while ((await ask('count')) > before + 1);
          expect(await ask('take')).to.be.above(0)
          client.request(method, path, {}, method === 'POST' ? body : undefined)
          const refused = await client.response()
          expect(refused.status).to.be.oneOf([...statuses])
          await ask('give back')
          client.destroy()
          expect((await request(method, path)).join(' ') === `200 ${served}`).to.equal(true)
          for (const socket of upstream.connections) socket.destroy()
        }
        while ((await ask('count')) > before);
      })
    }

    it('turns new clients away, and serves others once descriptors are free', async () => {
      await ask('take')
      const turnedAway = await RawClient.connect(port)
      turnedAway.request('GET', '/child')
      await turnedAway.closed()
      expect(turnedAway.socket.bytesRead).to.equal(0)
      await ask('give back')
      expect(await request('GET', '/child')).to.deep.equal([200, 'said\n'])
    })
  })
}
