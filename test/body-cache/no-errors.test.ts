import { expect } from 'chai'
import express from 'express'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'

import { closeServers, serve } from '../support/servers.js'

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
  }
})
