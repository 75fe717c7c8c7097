import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { PassThrough, Readable, type Writable } from 'node:stream'
import { expect } from 'chai'
import { attach, bodyCache, maxBytes, pipeChild, type PipeChildOptions } from 'sluiceway'
import { asChunk, lastChunk, RawClient } from '../support/clients/raw-client.js'
import type { Handler } from '../support/express/hosts.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { until } from '../support/time/until.js'
import { type Front, fronts, type Reply } from './fronts.js'
import { type Outcome, pipedCleanly } from './left-behind.js'
import { membersOf, sh } from './piped.js'

type Start = (req: IncomingMessage, res: ServerResponse) => ChildProcess

interface Filtered {
  readonly outcome: Promise<Outcome>
  readonly child: Promise<ChildProcess>
  readonly ask: (body?: string) => Promise<Reply>
}

/** Pipes the request through a child and back, behind other middlewares. */
async function filtered(
  front: Front,
  start: Start,
  options: PipeChildOptions = {},
  before: Handler[] = [],
): Promise<Filtered> {
  const outcome = deferred<Outcome>()
  const started = deferred<ChildProcess>()
  const { ask } = await front.serve(...before, async (req, res, next) => {
    const child = start(req, res)
    started.resolve(child)
    const found = await pipedCleanly(req, res, child, { stdin: req, ...options })
    outcome.resolve(found)
    if (found.error !== undefined && !res.headersSent) next(found.error)
  })
  return {
    outcome: outcome.promise,
    child: started.promise,
    ask: (body = 'open') => ask({ method: 'POST', body }),
  }
}

const exited = (code: number): Outcome => ({ exit: { code, signal: null } })

/** Writes bytes, and returns the error if they could not be sent. */
async function write(to: Writable, bytes: Buffer): Promise<Error | undefined> {
  return new Promise((resolve) => void to.write(bytes, (error) => resolve(error ?? undefined)))
}

describe('the rest of a request that no child reads, before its connection closes', () => {
  afterEach(closeServers)

  const nothing: Handler = (_req, _res, next) => next()

  for (const [what, before] of [
    ['alone', nothing],
    ['behind maxBytes', maxBytes('10mb')],
    ['behind bodyCache', bodyCache()],
  ] as [string, Handler][]) {
    it(`is taken after the response, which a reset would cut: ${what}`, async () => {
      const { port } = await serve((req, res) =>
        before(req, res, () => void pipeChild(res, sh('exec <&-; echo out'), { stdin: req })),
      )
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n')
      expect((await client.response()).body.toString()).to.equal('out\n')
      const sent = await Promise.all([1, 2, 3].map(() => write(client.socket, Buffer.alloc(1_000_000))))
      expect(sent).to.deep.equal([undefined, undefined, undefined])
      await client.closed()
    })
  }

  /** Asks for the output of a child that reads nothing, and returns both ends once it has come, before the body. */
  async function answeredEarly(): Promise<{ client: RawClient; closed: Promise<unknown> }> {
    const { server, port } = await serve((req, res) => {
      void pipeChild(res, sh('exec <&-; echo out'), { stdin: req })
    })
    const connected = once(server, 'connection') as Promise<[Socket]>
    const client = await RawClient.connect(port)
    const [connection] = await connected
    client.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n')
    await client.response()
    // `once` would reject: Node reports on the connection what comes behind the body, or is missing of it.
    return { client, closed: new Promise((resolve) => connection.once('close', resolve)) }
  }

  it('is followed by no answer to what comes behind it', async () => {
    const { client, closed } = await answeredEarly()
    client.write('0123456789GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await closed
    await client.closed()
    expect(client.pending.toString()).to.equal('')
  })

  it('does not keep the connection open if it does not come', async () => {
    const { closed } = await answeredEarly()
    await closed
  })

  it('does not keep the connection open if its client leaves', async () => {
    const { client, closed } = await answeredEarly()
    client.write('01234')
    client.destroy()
    await closed
  })
})

for (const front of fronts) {
  describe(`the option stdin of pipeChild on ${front.name}`, () => {
    afterEach(closeServers)

    it('pipes a body through the child and back, chunk by chunk', async () => {
      const { ask, outcome } = await filtered(front, () => spawn('cat', { detached: true }))
      const reply = await ask()
      for (const word of ['one', 'two', 'three']) {
        reply.upload.write(`${word}\n`)
        await reply.received(`${word}\n`)
      }
      reply.upload.end()
      expect(await reply.ended()).to.equal('one\ntwo\nthree\n')
      expect(await outcome).to.deep.equal(exited(0))
    })

    it('ends the input of the child at the end of the body', async () => {
      const { ask } = await filtered(front, () => spawn('sort', { detached: true }))
      const reply = await ask()
      reply.upload.end('b\nc\na\n')
      expect(await reply.ended()).to.equal('a\nb\nc\n')
    })

    it('takes a request without a body for an empty input', async () => {
      const { outcome, ask } = await filtered(front, () => spawn('cat', { detached: true }))
      const reply = await ask()
      reply.upload.end()
      expect(await reply.ended()).to.equal('')
      expect(await outcome).to.deep.equal(exited(0))
    })

    it('makes the client wait for a child that does not read', async () => {
      const { ask, child } = await filtered(front, () => sh('read line; cat >/dev/null; echo all'))
      const reply = await ask()
      const piece = Buffer.alloc(1_000_000)
      let sent = 0
      while (sent < 200 && reply.upload.write(piece)) sent++
      const { stdin } = await child
      await until(() => stdin!.writableNeedDrain)
      // What a pipe and some buffers hold, and not all that the client would send.
      expect(stdin!.writableLength).to.be.below(200_000)
      reply.upload.end('\n')
      expect(await reply.ended()).to.equal('all\n')
    })

    it('discards the rest for a filter that stops reading, and sends its output', async () => {
      const { ask, outcome } = await filtered(front, () => spawn('head', ['-n', '1'], { detached: true }))
      const reply = await ask()
      reply.upload.write(`first\n${'x'.repeat(10_000_000)}`)
      reply.upload.end()
      expect(await reply.ended()).to.equal('first\n')
      expect(await outcome).to.deep.equal(exited(0))
    })

    it('discards the rest for a child that closes its stdin and lives on', async () => {
      const { ask, outcome } = await filtered(front, () =>
        sh('exec <&-; sleep 0.2; head -c 3000000 /dev/zero; exit 3'),
      )
      const reply = await ask()
      // A client that sends its whole body before it reads.
      await new Promise<void>((resolve) => void reply.upload.end(Buffer.alloc(20_000_000), () => resolve()))
      expect(await reply.ended()).to.have.length(3_000_000)
      expect(await outcome).to.deep.equal(exited(3))
    })

    it('ends the group when the client leaves in the middle of its body', async () => {
      const { ask, outcome, child } = await filtered(front, () => sh('sleep 60 & cat'))
      const reply = await ask()
      reply.upload.write('half')
      await reply.received('half')
      reply.leave()
      expect(await outcome).to.deep.equal({ exit: { code: null, signal: 'SIGTERM' } })
      expect(membersOf((await child).pid!)).to.deep.equal([])
    })

    it('reads nothing if the child could not be started', async () => {
      const { ask, outcome } = await filtered(front, () => spawn('no-such-command'))
      expect((await ask('body')).status).to.equal(500)
      expect((await outcome).error).to.include({ code: 'ENOENT' })
    })

    describe('with maxBytes in front', () => {
      for (const [name, before] of Object.entries({
        maxBytes: [maxBytes('100kb')],
        'maxBytes and bodyCache': [maxBytes('100kb'), bodyCache()],
      })) {
        it(`${name}: a body that exceeds the limit on its way ends the child, and cuts the response`, async () => {
          const { ask, outcome, child } = await filtered(front, () => sh('sleep 60 & cat'), {}, before)
          const reply = await ask()
          reply.upload.write('half')
          await reply.received('half')
          reply.upload.write(Buffer.alloc(200_000))
          expect(await reply.ended().catch(() => 'cut')).to.equal('cut')
          const { error } = await outcome
          expect(error).to.include({ code: 'ERR_SLUICEWAY_BODY_TOO_LARGE' })
          expect(membersOf((await child).pid!)).to.deep.equal([])
        })

        it(`${name}: a body within the limit passes`, async () => {
          const { ask } = await filtered(front, () => spawn('cat', { detached: true }), {}, before)
          const reply = await ask()
          reply.upload.end('x'.repeat(50_000))
          expect(await reply.ended()).to.have.length(50_000)
        })

        it(`${name}: a client that leaves is not a failure`, async () => {
          const { ask, outcome } = await filtered(front, () => sh('sleep 60 & cat'), {}, before)
          const reply = await ask()
          reply.upload.write('half')
          await reply.received('half')
          reply.leave()
          expect(await outcome).to.deep.equal({ exit: { code: null, signal: 'SIGTERM' } })
        })
      }
    })

    it('takes a body that bodyCache keeps, and that others have read', async () => {
      const read: Handler = async (req, _res, next) => {
        for await (const _ of req);
        next()
      }
      const { ask } = await filtered(front, () => spawn('cat', { detached: true }), {}, [bodyCache(), read])
      expect(await (await ask('read it again')).ended()).to.equal('read it again')
    })

    it('pipes another stream in, and ends with it', async () => {
      const { ask } = await filtered(front, () => spawn('sort', { detached: true }), {
        stdin: Readable.from(['b\n', 'a\n']),
      })
      const reply = await ask()
      expect(await reply.ended()).to.equal('a\nb\n')
    })

    it('destroys another stream that the child no longer reads', async () => {
      const file = createReadStream('/dev/zero')
      const { ask, outcome } = await filtered(front, () => spawn('head', ['-c', '3'], { detached: true }), {
        stdin: file,
      })
      expect(await (await ask()).ended()).to.equal('\0\0\0')
      expect(await outcome).to.deep.equal(exited(0))
      expect(file.destroyed).to.equal(true)
    })

    it('destroys it even if that fails', async () => {
      const file = new Readable({
        read() {
          this.push('line\n')
        },
        destroy: (_error, done) => done(new Error('not closed')),
      })
      const { ask, outcome } = await filtered(front, () => spawn('head', ['-n', '1'], { detached: true }), {
        stdin: file,
      })
      expect(await (await ask()).ended()).to.equal('line\n')
      expect(await outcome).to.deep.equal(exited(0))
    })

    for (const [how, fail] of [
      ['fails', (stream: PassThrough) => void stream.destroy(new Error('source'))],
      ['is cut', (stream: PassThrough) => void stream.destroy()],
    ] as const) {
      it(`ends the child and cuts the response if another stream ${how}`, async () => {
        const source = new PassThrough()
        const { ask, outcome } = await filtered(front, () => sh('sleep 60 & cat'), { stdin: source })
        source.write('half')
        const reply = await ask()
        await reply.received('half')
        fail(source)
        expect(await reply.ended().catch(() => 'cut')).to.equal('cut')
        expect((await outcome).error?.message).to.match(/^source$|Premature close/)
      })
    }

    it('does not let an EPIPE end the process if the application pipes by itself', async () => {
      const outcome = deferred<unknown>()
      const { ask } = await front.serve((req, res) => {
        const child = spawn('head', ['-n', '1'], { detached: true })
        const piped = pipeChild(res, child)
        req.pipe(child.stdin)
        child.stdin.once('close', () => req.resume())
        void piped.then(outcome.resolve, outcome.resolve)
      })
      const reply = await ask({ method: 'POST', body: 'open' })
      reply.upload.end(`first\n${'x'.repeat(3_000_000)}`)
      expect(await reply.ended()).to.equal('first\n')
      expect(await outcome.promise).to.deep.equal({ code: 0, signal: null })
    })
  })
}

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
