import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { expect } from 'chai'

const MB = 1024 * 1024
const program = new URL('memory-server.js', import.meta.url)

const held: Record<string, { path: string; coding: string }> = {
  'writes, as they are': { path: '/write', coding: 'identity' },
  'writes, through gzip': { path: '/write', coding: 'gzip' },
  'a pipe, as it is': { path: '/pipe', coding: 'identity' },
  'a pipe, through gzip': { path: '/pipe', coding: 'gzip' },
}

describe('autoFlush', function () {
  this.timeout(30_000)

  let server: ChildProcess
  let port: number

  before(async () => {
    server = fork(program, { execArgv: ['--expose-gc'] })
    ;[port] = (await once(server, 'message')) as [number]
    // The first responses grow the heap once for all the others.
    for (const { path, coding } of Object.values(held))
      await readSome(await get(`${path}/${64 * MB}`, coding))
    for await (const _ of await get(`/child/${100 * MB}`, 'identity'));
  })

  after(async () => {
    server.kill()
    await once(server, 'exit')
  })

  describe('for clients that do not read', () => {
    it('uses at most 10 MB more in 5 s, and continues when they read', async () => {
      const before = await residentBytes()
      const responses = await Promise.all(
        Object.values(held).map(({ path, coding }) => get(`${path}/${64 * MB}`, coding)),
      )
      let most = before
      for (let sample = 0; sample < 50; sample++) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        most = Math.max(most, await residentBytes())
      }
      expect((most - before) / MB).to.be.below(10)
      for (const response of responses) await readSome(response)
    })
  })

  describe('for a slow reader of 100 MB from pipeChild', () => {
    it('uses at most 10 MB more', async () => {
      const before = await residentBytes()
      let most = before
      const response = await get(`/child/${100 * MB}`, 'identity')
      let received = 0
      let next = 0
      for await (const chunk of response as AsyncIterable<Buffer>) {
        received += chunk.length
        // The reader stops for each of these round trips; the child would be done by the first.
        if (received > next) {
          next += 4 * MB
          most = Math.max(most, await residentBytes())
        }
      }
      expect(received).to.equal(100 * MB)
      expect((most - before) / MB).to.be.below(10)
    })
  })

  async function residentBytes(): Promise<number> {
    const answered = once(server, 'message')
    server.send('rss')
    return ((await answered) as [number])[0]
  }

  async function get(path: string, coding: string): Promise<http.IncomingMessage> {
    const request = http.get({ port, path, agent: false, headers: { 'Accept-Encoding': coding } })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    return response
  }
})

/** Reads more than the buffers of two sockets can hold, and disconnects. */
async function readSome(response: http.IncomingMessage): Promise<void> {
  let received = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    received += chunk.length
    if (received > 10 * MB) return
  }
  throw new Error(`only ${received} bytes came`)
}
