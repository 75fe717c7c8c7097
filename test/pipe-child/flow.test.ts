import { type ChildProcess, spawn } from 'node:child_process'
import type { ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { expect } from 'chai'
import { type ChildExit, pipeChild } from 'sluiceway'
import { StreamingClient } from '../support/clients/streaming-client.js'
import { closeServers } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { fronts } from './fronts.js'
import { piped, sh } from './piped.js'

/** More than a pipe and the buffers of a stream hold. */
const LARGE = 300_000

describe('pipeChild makes an output flow', () => {
  afterEach(closeServers)

  const before: readonly [name: string, ({ stdout, stderr }: ChildProcess) => unknown][] = [
    ['was paused', ({ stdout, stderr }) => [stdout!.pause(), stderr!.pause()]],
    ['was piped elsewhere and taken back', ({ stdout, stderr }) => [takeBack(stdout!), takeBack(stderr!)]],
  ]
  for (const [name, prepare] of before) {
    it(`that ${name}`, async () => {
      const start = (): ChildProcess => {
        const child = sh(`head -c ${LARGE} /dev/zero; head -c ${LARGE} /dev/zero >&2`)
        prepare(child)
        return child
      }
      const { url, exit } = await piped(start, {})
      expect(await (await StreamingClient.get(url)).ended()).to.have.length(2 * LARGE)
      expect(await exit).to.deep.equal({ code: 0, signal: null })
    })
  }

  // With the whole of the line searched for each piece, this took half a minute.
  it('whose line comes in very many small pieces', async () => {
    const pieces = Array.from({ length: 60_000 }, () => Buffer.from('. '.repeat(8)))
    const start = (): ChildProcess => Object.assign(sh('exec >&- 2>&-'), { stdout: Readable.from(pieces) })
    const { url } = await piped(start, {}, { type: 'text/event-stream' })
    const [event] = (await (await StreamingClient.get(url)).ended()).split('\n\n')
    expect(event).to.equal(`data: ${'. '.repeat(8 * 60_000)}`)
  })
})

for (const front of fronts) {
  describe(`pipeChild beside other code that patches res.write, on ${front.name}`, () => {
    afterEach(closeServers)

    // Many a layer that logs bodies does so; Node's own pipe() goes on.
    it('sends all output through a layer that returns nothing', async () => {
      const child = spawn('cat')
      const { ask } = await front.serve((_req, res) => {
        const write = res.write.bind(res)
        res.write = ((chunk: Buffer) => void write(chunk)) as unknown as typeof res.write
        void pipeChild(res, child)
      })
      const reply = await ask()
      for (const line of ['one', 'two', 'three']) {
        child.stdin.write(`${line}\n`)
        await reply.received(`${line}\n`)
      }
      child.stdin.end()
      expect(await reply.ended()).to.equal('one\ntwo\nthree\n')
    })

    it('writes nothing more once a compressor that takes all listeners has told the end', async () => {
      const child = sh('yes')
      const exit = deferred<ChildExit>()
      const { ask } = await front.serve((_req, res) => {
        compressed(res)
        setTimeout(() => res.end(), 50)
        void pipeChild(res, child).then(exit.resolve)
      })
      await (await ask()).ended()
      expect(await exit.promise).to.deep.equal({ code: null, signal: 'SIGTERM' })
    })
  })
}

/** As that of polka. */
function compressed(res: ServerResponse): void {
  const compressor = createGzip()
  const [write, end] = [res.write.bind(res), res.end.bind(res)]
  compressor.on('data', (chunk) => write(chunk) || compressor.pause()).on('end', end)
  res.prependListener('drain', () => compressor.resume())
  const on = (event: string, listener: () => void): ServerResponse => {
    compressor.on(event, listener)
    return res
  }
  Object.assign(res, { on, write: compressor.write.bind(compressor), end: compressor.end.bind(compressor) })
}

function takeBack(stream: Readable): void {
  const elsewhere = new PassThrough()
  stream.pipe(elsewhere)
  stream.unpipe(elsewhere)
}
