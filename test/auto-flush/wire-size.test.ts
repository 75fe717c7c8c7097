import { expect } from 'chai'
import compression from 'compression'
import express, { type Response } from 'express'
import { autoFlush } from 'sluiceway'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers, serve } from '../support/servers/servers.js'

const EVENTS = 1000

/** 80 bytes each, as a language model sends its tokens. */
function event(n: number): string {
  const token = Math.imul(n + 1, 2654435761) >>> 8
  return `data: {"id":"chatcmpl-9f","delta":{"content":"${token.toString(36)}"}}`.padEnd(78, ' ') + '\n\n'
}

/** Flushes end with an empty stored block, which is these bytes on the wire (RFC 1951, 3.2.4). */
function countFlushes(wire: Buffer): number {
  let count = 0
  for (let at = wire.indexOf('0000ffff', 0, 'hex'); at !== -1; at = wire.indexOf('0000ffff', at + 4, 'hex'))
    count++
  return count
}

describe('autoFlush', () => {
  afterEach(closeServers)

  describe('through gzip', () => {
    it('keeps 1000 events of 80 bytes under 35 % of their size, one in each turn', async () => {
      const { share, flushes } = await measure(1, (res, text) => res.write(text))
      expect(share).to.be.below(0.35)
      expect(flushes).to.be.within(EVENTS * 0.9, EVENTS + 1)
    })

    it('keeps them under 15 % when ten are written in each tick, and flushes once for the ten', async () => {
      const { share, flushes } = await measure(10, (res, text) => res.write(text))
      expect(share).to.be.below(0.15)
      expect(flushes).to.be.within(EVENTS / 10 - 1, EVENTS / 10 + 1)
    })

    it('keeps them under 35 % even if the handler calls res.flush() after each write', async () => {
      const { share } = await measure(1, (res, text) => {
        res.write(text)
        res.flush()
      })
      expect(share).to.be.below(0.35)
    })
  })
})

async function measure(
  eventsPerTurn: number,
  write: (res: Response, text: string) => void,
): Promise<{ share: number; flushes: number }> {
  const app = express()
  app.use(autoFlush(), compression())
  app.get('/', (_req, res) => {
    res.type('text/event-stream')
    void sendAll(res, eventsPerTurn, write)
  })
  const { url } = await serve(app)
  const client = await StreamingClient.get(url, 'gzip')
  const wire: Buffer[] = []
  client.response.on('data', (chunk: Buffer) => wire.push(chunk))
  const raw = Buffer.byteLength(await client.ended())
  expect(raw).to.equal(EVENTS * 80)
  return { share: client.wireBytes / raw, flushes: countFlushes(Buffer.concat(wire)) }
}

async function sendAll(
  res: Response,
  eventsPerTurn: number,
  write: (res: Response, text: string) => void,
): Promise<void> {
  for (let n = 0; n < EVENTS; n++) {
    write(res, event(n))
    if ((n + 1) % eventsPerTurn === 0) await twoTurns()
  }
  res.end()
}

/** The turn in which the flush runs, and the one in which zlib finishes it. */
async function twoTurns(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setTimeout(resolve, 0))
}
