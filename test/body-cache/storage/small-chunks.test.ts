import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache, type BodyCacheOptions } from 'sluiceway/body-cache'
import { asChunk, lastChunk, RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { cpuOf } from '../../support/process/cpu.js'
import { emptyDirectory, removeDirectories } from '../../support/process/temporary-files.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'

const BODY = Buffer.from(Array.from({ length: 6000 }, (_, at) => at % 251))
const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

describe('bodyCache, with a body in chunks of a few bytes', () => {
  afterEach(closeServers)
  afterEach(removeDirectories)

  /** Sends the body in chunks of `size` bytes, and returns what the handler answers. */
  async function answerOf(
    size: number,
    options: BodyCacheOptions,
    handler: Handler,
    bytes = BODY,
  ): Promise<string> {
    const { port } = await serve(hosts[0]!.mount(bodyCache(options), handler))
    const client = await RawClient.connect(port)
    const chunks = []
    for (let at = 0; at < bytes.length; at += size) chunks.push(asChunk(bytes.subarray(at, at + size)))
    client.write(HEAD, ...chunks, lastChunk)
    const { body } = await client.response()
    client.destroy()
    return body.toString()
  }

  it('keeps many of them as one, as each takes far more memory than it holds', async () => {
    const answer = await answerOf(1, {}, async (req, res) => {
      await rawBody(req)
      const pieces: Buffer[] = []
      const stream = req.bodyCache.stream().on('data', (piece: Buffer) => pieces.push(piece))
      await once(stream, 'end')
      res.end(`${Buffer.concat(pieces).equals(BODY)} ${pieces.length}`)
    })
    expect(answer).to.equal('true 2')
  })

  it('gives each reader the same bytes, wherever it begins', async () => {
    for (const size of [9, 700, 1100]) {
      for (const memory of ['1mb', 2500, 0]) {
        const answer = await answerOf(size, { memory }, async (req, res) => {
          const all = await Promise.all([
            rawBody(req),
            buffer(req.bodyCache.stream()),
            req.bodyCache.buffer(),
          ])
          all.push(await rawBody(req), await buffer(req.bodyCache.stream()))
          res.end(String(all.every((one) => one.equals(BODY))))
        })
        expect(answer).to.equal('true')
      }
    }
  })

  it('looks for none of them among all that wait to be written, of which a read brings ten thousand', async () => {
    const bytes = Buffer.alloc(20_000, 'a')
    const readTwice: Handler = async (req, res) => {
      const read = await Promise.all([rawBody(req), buffer(req.bodyCache.stream())])
      res.end(String(read.every((one) => one.equals(bytes))))
    }
    const [inMemory, inFile] = ['1mb', 0].map((memory) => async () => {
      expect(await answerOf(1, { memory }, readTwice, bytes)).to.equal('true')
    }) as [() => Promise<void>, () => Promise<void>]
    await inMemory()
    expect(await cpuOf(inFile)).to.be.below(3 * (await cpuOf(inMemory)))
  }).timeout(30_000)

  it('writes many of them to the file at once', async () => {
    const directory = emptyDirectory()
    const probe = await open(directory)
    const handles = Object.getPrototypeOf(probe) as { write: (...args: unknown[]) => unknown }
    await probe.close()
    const { write } = handles
    const lengths: number[] = []
    handles.write = function counted(this: unknown, ...args) {
      lengths.push(args[2] as number)
      return write.apply(this, args)
    }
    try {
      const answer = await answerOf(1, { memory: 0, directory }, async (req, res) => {
        const all = await rawBody(req)
        await until(() => lengths.reduce((sum, length) => sum + length, 0) === BODY.length)
        res.end(String(all.equals(BODY)))
      })
      expect(answer).to.equal('true')
      expect(lengths).to.have.length.below(100)
    } finally {
      handles.write = write
    }
  })
})
