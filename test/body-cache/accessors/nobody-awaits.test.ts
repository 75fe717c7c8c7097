import type { IncomingMessage } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import type { BodyCache } from 'sluiceway/body-cache'
import { asChunk } from '../../support/clients/raw-client.js'
import { closeServers } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { type Exchange, exchange } from '../exchange.js'
import { codeOf } from '../reading.js'

/** Begins to read in every way and awaits nothing. */
function beginAll({ bodyCache: body }: IncomingMessage): void {
  const schema = { '~standard': { validate: () => ({ issues: ['none'] }) } }
  void [
    body.buffer(),
    body.text(),
    body.json(),
    body.json(schema),
    body.urlencoded(),
    body.urlencoded(schema),
  ]
  void [body.formData(), body.blob(), body.stream().resume(), body.web(), body.web().getReader()]
}

const endings: Record<string, (exchange: Exchange) => Promise<unknown>> = {
  'the response ends first': async ({ res }) => {
    res.writeHead(401).end()
    await until(() => res.writableFinished)
  },
  'the client leaves': async ({ client, res }) => {
    client.destroy()
    await until(() => res.destroyed)
  },
  'the body is damaged': async ({ client, res }) => {
    client.write(asChunk('"'), '0\r\n\r\n')
    await until(() => res.req.bodyCache.complete)
  },
  'the application destroys the request': async ({ req, res }) => {
    req.destroy()
    await until(() => res.destroyed)
  },
}

describe('a promise of req.bodyCache that is not awaited', () => {
  afterEach(closeServers)

  // The checks around each test fail it where a rejection reaches the process.
  for (const coding of ['identity', 'gzip']) {
    for (const [title, end] of Object.entries(endings)) {
      it(`does not end the process when ${title}, with Content-Encoding: ${coding}`, async () => {
        const started = await exchange(['Transfer-Encoding: chunked', `Content-Encoding: ${coding}`])
        const { client, req, res } = started
        beginAll(req)
        client.write(asChunk(coding === 'gzip' ? gzipSync('{"a"').subarray(0, -4) : '{"a"'))
        await until(() => req.bodyCache.size > 0)
        await end(started)
        // A rejection is reported after the promises of one turn.
        for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
        res.end()
        client.destroy()
      })
    }
  }

  it('still rejects when it is awaited, at once or later', async () => {
    const { client, req, res } = await exchange()
    const read = (body: BodyCache): Promise<unknown>[] => [
      body.buffer(),
      body.text(),
      body.json(),
      body.urlencoded(),
      body.formData(),
      body.blob(),
    ]
    const reading = read(req.bodyCache)
    client.write(asChunk('{"a"'))
    await until(() => req.bodyCache.size > 0)
    res.end()
    await until(() => res.writableFinished)
    for (const promise of [...reading, ...read(req.bodyCache)]) {
      expect(await codeOf(promise)).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
    }
    client.destroy()
  })
})

describe('a reader of a request whose client has left', () => {
  afterEach(closeServers)

  for (let ticks = 0; ticks < 6; ticks += 1) {
    it(`does not end the process if it removes its error listener after ${ticks} ticks`, async () => {
      const { client, req, res } = await exchange()
      client.destroy()
      await until(() => res.destroyed)
      const ignore = (): void => {}
      req.on('error', ignore).on('data', ignore)
      for (let tick = 0; tick < ticks; tick += 1)
        await new Promise<void>((resolve) => process.nextTick(resolve))
      req.off('error', ignore)
      // The checks around each test fail it where an error reaches the process.
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
    })
  }
})
