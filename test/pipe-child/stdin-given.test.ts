import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import { attach, pipeChild } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import type { Handler } from '../support/express/hosts.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { filtered } from './filtered.js'
import { fronts } from './fronts.js'
import { sh } from './piped.js'

describe('the option stdin of pipeChild', () => {
  afterEach(closeServers)

  const given: Record<string, [unknown, string]> = {
    'a string': ['text', 'must be a readable stream such as req (Readable.from([…]) makes one), got "text"'],
    'a Buffer': [
      Buffer.from('text'),
      'must be a readable stream such as req (Readable.from([…]) makes one), got',
    ],
    null: [null, 'must be a readable stream such as req, got null'],
    'a web stream': [
      new ReadableStream(),
      'must be a readable stream such as req (Readable.fromWeb(…) makes one), got',
    ],
    'a parsed body': [{ name: 'secret' }, 'must be a readable stream such as req, got an object ('],
    'a parsed form, which has no prototype': [
      Object.create(null),
      'must be a readable stream such as req, got an object (',
    ],
    true: [true, 'must be a readable stream such as req, got true'],
  }
  for (const [what, [stdin, message]] of Object.entries(given)) {
    it(`refuses ${what} with a TypeError`, async () => {
      const { ask, outcome } = await filtered(fronts[0]!, () => sh('cat'), { stdin: stdin as Readable })
      await ask()
      expect((await outcome).error).to.be.instanceOf(TypeError)
      expect((await outcome).error?.message).to.include(`pipeChild: option "stdin" ${message}`)
    })
  }

  it('refuses a child without stdin', async () => {
    const start = (): ChildProcess =>
      spawn('sleep', ['60'], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const { ask, outcome } = await filtered(fronts[0]!, start)
    expect((await ask()).status).to.equal(500)
    expect((await outcome).error?.message).to.match(/option "stdin" needs a child with a stdin of its own/)
  })

  it('refuses a body that was read already, with the error that names the remedy', async () => {
    const read: Handler = async (req, _res, next) => {
      for await (const _ of req);
      next()
    }
    const { ask, outcome } = await filtered(fronts[0]!, () => sh('cat'), {}, [read])
    expect((await ask('body')).status).to.equal(500)
    expect((await outcome).error).to.include({ code: 'ERR_SLUICEWAY_BODY_ALREADY_READ' })
  })

  it('refuses a stream that was read already and does not tell it, such as those of readable-stream 3', async () => {
    const source = Readable.from(['read'])
    Object.defineProperty(source, 'readableEnded', { value: undefined })
    for await (const _ of source);
    const { ask, outcome } = await filtered(fronts[0]!, () => sh('cat'), { stdin: source })
    expect((await ask()).status).to.equal(500)
    expect((await outcome).error).to.include({ code: 'ERR_SLUICEWAY_BODY_ALREADY_READ' })
  })

  it('takes a request that Node has ended before any code saw it for an empty input', async () => {
    const options = { optimizeEmptyRequests: true } as ServerOptions
    const { port } = await listen(
      createServer(options, (req, res) => {
        pipeChild(res, sh('cat; echo end'), { stdin: req }).catch((error: Error) => res.end(error.message))
      }),
    )
    const client = await RawClient.connect(port)
    for (const method of ['GET', 'POST']) {
      client.request(method, '/')
      expect((await client.response()).body.toString()).to.equal('end\n')
    }
    client.destroy()
  })

  it('refuses a stream that has failed, with its error', async () => {
    const source = new PassThrough()
    source.on('error', () => {}).destroy(new Error('source'))
    await once(source, 'close').catch(() => {})
    const { ask, outcome } = await filtered(fronts[0]!, () => sh('cat'), { stdin: source })
    expect((await ask()).status).to.equal(500)
    expect((await outcome).error?.message).to.equal('source')
  })

  it('invites the body of a client that waits for it, through attach', async () => {
    const app = (req: IncomingMessage, res: ServerResponse): void => {
      void pipeChild(res, spawn('cat', { detached: true }), { stdin: req })
    }
    const { server, port } = await serve(app)
    attach(server, app)
    const client = await RawClient.connect(port)
    client.write('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect(await client.untilText('\r\n\r\n')).to.equal('HTTP/1.1 100 Continue\r\n\r\n')
    expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 200 /)
    client.write(asChunk('body'))
    await client.untilText('4\r\nbody\r\n')
    client.write(lastChunk)
    await client.untilText('0\r\n\r\n')
    client.destroy()
  })
})
