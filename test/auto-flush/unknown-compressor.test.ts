import { expect } from 'chai'
import compression from 'compression'
import express, { type RequestHandler } from 'express'
import { autoFlush } from 'sluiceway'
import { codings } from '../support/clients/streaming-client.js'
import { closeServers } from '../support/servers/servers.js'
import { StreamServer } from './streams.js'

/** Hides the stream of `compression`, and counts its flushes. */
class Hiding {
  flushes = 0
  readonly mount: RequestHandler = (_req, res, next) => {
    const on = res.on.bind(res) as (event: string, listener: () => void) => typeof res
    res.on = ((event: string, listener: () => void) =>
      event === 'drain' ? res : on(event, listener)) as typeof res.on
    const flush = res.flush.bind(res)
    res.flush = () => {
      this.flushes++
      flush()
    }
    next()
  }
}

const arrangements: Record<string, (hiding: Hiding) => RequestHandler[]> = {
  before: ({ mount }) => [autoFlush(), compression(), mount],
  after: ({ mount }) => [compression(), mount, autoFlush()],
}

describe('autoFlush', () => {
  describe('with an unknown compressor that has a res.flush()', () => {
    afterEach(closeServers)

    for (const [order, mount] of Object.entries(arrangements)) {
      for (const coding of codings) {
        it(`delivers each chunk before the next is sent: mounted ${order}, ${coding}`, async () => {
          const streams = await StreamServer.start(express().use(...mount(new Hiding())))
          await streams.pingPong(coding)
        })
      }

      it(`flushes once for ten writes in one turn: mounted ${order}`, async () => {
        const hiding = new Hiding()
        const streams = await StreamServer.start(express().use(...mount(hiding)))
        const { client, res, sender } = await streams.open('first.', 'gzip')
        await client.received('first.')
        expect(hiding.flushes).to.equal(1)
        for (let n = 0; n < 10; n++) res.write(`${n},`)
        await client.received('9,')
        expect(hiding.flushes).to.equal(2)
        sender.end()
        expect(await client.ended()).to.equal('first.0,1,2,3,4,5,6,7,8,9,')
      })
    }
  })
})
