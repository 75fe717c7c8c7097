import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { asChunk, lastChunk } from '../../support/clients/raw-client.js'
import { closeServers } from '../../support/servers/servers.js'
import { exchange } from '../exchange.js'

/** Reads with a listener for one 'readable' at a time, added again for each. */
async function readAnew(req: IncomingMessage): Promise<string> {
  let sofar = ''
  const take = (): void => {
    for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null) {
      sofar += String(chunk)
    }
    if (sofar.length < 1000) req.once('readable', take)
  }
  req.once('readable', take)
  await once(req, 'end')
  return sofar
}

/** Takes the first bytes, and pipes the others in the same turn. */
function readHeadAndPipe(req: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    req.once('readable', () => {
      const head = String(req.read(4))
      void text(req.pipe(new PassThrough())).then((rest) => resolve(head + rest))
    })
  })
}

describe("bodyCache, with a reader that listens for one 'readable' at a time", () => {
  afterEach(closeServers)

  for (const [name, read] of Object.entries({ readAnew, readHeadAndPipe })) {
    for (const memory of ['1mb', 0]) {
      it(`gives it the body once, whichever reading it is: ${name}, with ${memory} of memory`, async () => {
        const { client, req } = await exchange(undefined, { memory })
        client.write(asChunk('one '))
        const first = read(req)
        await once(req, 'readable')
        client.write(asChunk('two'), lastChunk)
        expect(await first).to.equal('one two')
        expect(await read(req)).to.equal('one two')
        expect(await text(req)).to.equal('one two')
        expect(await read(req)).to.equal('one two')
        client.destroy()
      })
    }
  }

  it('lets it go on beside one that is still reading, once another one has begun to flow', async () => {
    const { client, req } = await exchange()
    req.once('data', () => {})
    client.write(asChunk('one '))
    await once(req, 'data')
    const rest = readAnew(req)
    client.write(asChunk('two'), lastChunk)
    expect(await rest).to.equal('two')
    client.destroy()
  })
})
