import http2 from 'node:http2'
import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closeServers, listen, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'

/** The number of errors of http-errors that are created while `work` runs. Node itself keeps the method that it finds at its start. */
async function errorsDuring(work: () => Promise<unknown>): Promise<number> {
  const captureStackTrace = Reflect.get(Error, 'captureStackTrace') as (...args: unknown[]) => void
  let count = 0
  Error.captureStackTrace = (...args: unknown[]) => {
    count += 1
    captureStackTrace(...args)
  }
  try {
    await work()
  } finally {
    Error.captureStackTrace = captureStackTrace
  }
  return count
}

// The stack of an error takes longer than all the rest of a small request.
describe('a request that goes well', () => {
  afterEach(closeServers)

  for (const [title, handlers] of [
    ['whose body is parsed', [express.json()]],
    ['whose body is not read', []],
  ] as const) {
    it(`creates no error: ${title}`, async () => {
      const app = express().use(maxBytes('1mb'), bodyCache(), ...handlers)
      app.use((_req, res) => res.end('done'))
      const { url } = await serve(app)
      const post = (): Promise<string> =>
        fetch(url, { method: 'POST', body: '{"a":1}', headers: { 'Content-Type': 'application/json' } }).then(
          (response) => response.text(),
        )
      await post()
      expect(await errorsDuring(post)).to.equal(0)
    })

    it(`creates no error over HTTP/2: ${title}`, async () => {
      let closed = deferred()
      const answer: Handler = (_req, res) => void res.on('close', () => closed.resolve()).end('done')
      // Express does not support HTTP/2 requests; bare http does.
      const app = hosts[0]!.mount(maxBytes('1mb'), bodyCache(), ...(handlers as readonly Handler[]), answer)
      const { url } = await listen(http2.createServer(app as never) as never)
      const session = http2.connect(url)
      const post = async (): Promise<void> => {
        closed = deferred()
        const headers = { ':method': 'POST', 'content-type': 'application/json', 'content-length': '7' }
        session.request(headers).resume().end('{"a":1}')
        await closed.promise
      }
      await post()
      expect(await errorsDuring(post)).to.equal(0)
      session.destroy()
    })
  }
})
