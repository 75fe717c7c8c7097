import type { IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import rawBody from 'raw-body'
import { bodyCache } from 'sluiceway/body-cache'
import { maxBytes } from 'sluiceway/max-bytes'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Handler, hosts } from '../../support/express/hosts.js'
import { closed } from '../../support/process/open-resources.js'
import { allClosedIn, emptyDirectory, removeDirectories } from '../../support/process/temporary-files.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { timers } from '../../support/time/own-timers.js'
import { accessors, codeOf, countWithData } from '../reading.js'

const LENGTH = 300_000

/** Reads `req` in one way, and returns the number of bytes. */
type Reader = (req: IncomingMessage) => Promise<number>

async function iterate(req: IncomingMessage): Promise<number> {
  let length = 0
  for await (const chunk of req) length += (chunk as Buffer).length
  return length
}

async function pipeSlowly(req: IncomingMessage): Promise<number> {
  let length = 0
  const write = (chunk: Buffer, _encoding: unknown, done: () => void): void => {
    length += chunk.length
    setImmediate(done)
  }
  await pipeline(req, new Writable({ highWaterMark: 1000, write }))
  return length
}

const readers: Record<string, Reader> = {
  'raw-body': async (req) => (await rawBody(req)).length,
  'for await': iterate,
  'a slow pipeline': pipeSlowly,
  "on('data')": countWithData,
}

for (const { name: host, mount } of hosts) {
  describe(`a reader that begins right after the end of the response, on ${host}`, () => {
    afterEach(closeServers)

    // A middleware announces the close, as nothing reads yet when the head is written.
    for (const [what, middlewares, connection] of [
      ['without a middleware', [], 'keep-alive'],
      ['behind maxBytes', [maxBytes('100mb')], 'close'],
      ['behind bodyCache', [bodyCache({ memory: 1000 })], 'close'],
    ] as const) {
      for (const [name, read] of Object.entries(readers)) {
        it(`gets the whole of a large upload ${what}: ${name}`, async () => {
          const whole = deferred<number>()
          const answerFirst: Handler = (req, res) => {
            res.statusCode = 202
            res.end('accepted')
            read(req).then(whole.resolve, () => whole.resolve(-1))
          }
          const { port } = await serve(mount(...middlewares, answerFirst))
          const client = await RawClient.connect(port)
          client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n')
          const { status, headers } = await client.response()
          expect([status, headers['connection']]).to.deep.equal([202, [connection]])
          for (let sent = 0; sent < 3_000_000; sent += 100_000) client.write(Buffer.alloc(100_000))
          expect(await whole.promise).to.equal(3_000_000)
          if (connection === 'close') await client.closed()
          client.destroy()
        })
      }

      it(`does not keep the application from closing the connection ${what}`, async () => {
        const giveUp: Handler = (req, res) => {
          res.statusCode = 202
          res.end('accepted')
          // As a client that sends on is not worth the wait.
          req.once('data', () => req.socket.destroySoon())
        }
        const { port } = await serve(mount(...middlewares, giveUp))
        const client = await RawClient.connect(port)
        client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n')
        expect((await client.response()).status).to.equal(202)
        client.write(Buffer.alloc(100_000))
        await client.closed()
        client.destroy()
      })
    }
  })

  describe(`bodyCache on ${host}, when the application answers before it has read the request`, () => {
    afterEach(closeServers)
    afterEach(removeDirectories)

    /** Answers 202 to a body that `read` has begun to read; gives what it read in the end. */
    async function answerWhileReading(
      read: Reader,
      sent: number,
      length = LENGTH,
    ): Promise<{ client: RawClient; reading: Promise<number>; directory: string; req: IncomingMessage }> {
      const directory = emptyDirectory()
      const begun = deferred<{ reading: Promise<number>; req: IncomingMessage }>()
      const answerEarly: Handler = (req, res) => {
        if (req.method !== 'POST') return res.end('next')
        begun.resolve({ reading: read(req), req })
        res.statusCode = 202
        return res.end('accepted')
      }
      const { port } = await serve(mount(bodyCache({ memory: 1000, directory }), answerEarly))
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`, Buffer.alloc(sent))
      const { reading, req } = await begun.promise
      // On a busy machine, a reader that is given up fails before the answer has come, and so before it is awaited.
      reading.catch(() => {})
      expect((await client.response()).status).to.equal(202)
      return { client, reading, directory, req }
    }

    for (const [name, read] of Object.entries(readers)) {
      for (const sent of [LENGTH, 100_000]) {
        it(`gives ${name} the whole body, of which ${sent} bytes came before the answer`, async () => {
          const { client, reading, directory } = await answerWhileReading(read, sent)
          client.write(Buffer.alloc(LENGTH - sent))
          expect(await reading).to.equal(LENGTH)
          await allClosedIn(directory)
          client.request('GET', '/')
          expect(String((await client.response()).body)).to.equal('next')
          client.destroy()
        })
      }

      it(`does not tell ${name} when the client leaves in the middle of the body, as in Node`, async () => {
        const { client, reading, directory, req } = await answerWhileReading(read, 100_000)
        const heard: string[] = []
        reading.then(
          () => heard.push('whole'),
          () => heard.push('failed'),
        )
        req.on('error', () => heard.push('error'))
        client.destroy()
        await closed(req.socket)
        await allClosedIn(directory)
        expect(heard).to.deep.equal([])
      })
    }

    it('tells a reader beside the request when the client leaves in the middle of the body', async () => {
      const { client, directory, req } = await answerWhileReading(countWithData, 100_000)
      const beside = Object.values(accessors).map((access) => codeOf(access(req.bodyCache)))
      client.destroy()
      const codes = beside.map(() => 'ERR_SLUICEWAY_BODY_ABORTED')
      expect(await Promise.all(beside)).to.deep.equal(codes)
      await allClosedIn(directory)
    })

    it('adds no listener to the connection with each body that is still read', async () => {
      const pauseAndAnswer: Handler = (req, res) => {
        req.on('data', () => req.pause())
        res.end('accepted')
      }
      const { port, connections } = await serve(mount(bodyCache(), pauseAndAnswer))
      const client = await RawClient.connect(port)
      const listeners = new Set<number>()
      for (let round = 0; round < 12; round += 1) {
        client.request('POST', '/', {}, 'abc')
        await client.response()
        listeners.add(connections[0]!.listenerCount('close'))
      }
      expect(listeners).to.have.lengthOf(1)
      client.destroy()
    })

    it('gives no error to a reader that resumes the request after its end', async () => {
      const over = deferred<string[]>()
      const readAndResume: Handler = (req, res) => {
        const heard: string[] = []
        req.on('error', () => heard.push('error')).on('data', () => {})
        req.on('end', () => {
          heard.push('end')
          setImmediate(() => {
            req.resume()
            setTimeout(() => over.resolve(heard), 10)
          })
        })
        res.end('accepted')
      }
      const { port } = await serve(mount(bodyCache(), readAndResume))
      const client = await RawClient.connect(port)
      client.request('POST', '/', {}, 'abc')
      await client.response()
      expect(await over.promise).to.deep.equal(['end'])
      client.destroy()
    })

    it('gives up a reader that takes nothing for ten seconds, and closes the file', async () => {
      const restore = hasten(10_000)
      const stop: Reader = (req) =>
        new Promise((_resolve, reject) => {
          req.once('data', () => req.pause())
          req.on('data', () => {}).on('error', reject)
        })
      try {
        const { client, reading, directory } = await answerWhileReading(stop, LENGTH)
        const failure = await reading.catch((error: { code: string }) => error.code)
        expect(failure).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
        await allClosedIn(directory)
        client.destroy()
      } finally {
        restore()
      }
    })

    it('gives up a reader that has paused before the end of a whole body, and closes the file', async () => {
      const restore = hasten(10_000)
      const stop: Reader = (req) =>
        new Promise((_resolve, reject) => {
          req.on('data', () => {}).on('error', reject)
          req.pause()
        })
      try {
        const { client, reading, directory } = await answerWhileReading(stop, 2000, 2000)
        const failure = await reading.catch((error: { code: string }) => error.code)
        expect(failure).to.equal('ERR_SLUICEWAY_BODY_RELEASED')
        await allClosedIn(directory)
        client.destroy()
      } finally {
        restore()
      }
    })

    it('gives a slow reader the whole body even if its client leaves as soon as it is answered', async () => {
      const { client, reading, directory, req } = await answerWhileReading(pipeSlowly, LENGTH)
      client.destroy()
      await closed(req.socket)
      expect(await reading).to.equal(LENGTH)
      await allClosedIn(directory)
    })
  })
}

/** Makes timers of sluiceway of this many milliseconds run at once; returns a function that undoes this. */
function hasten(milliseconds: number): () => void {
  const { setTimeout: real } = timers
  const hastened = (run: (...args: unknown[]) => void, delay?: number, ...args: unknown[]): NodeJS.Timeout =>
    real(run, delay === milliseconds ? 20 : delay, ...args)
  timers.setTimeout = Object.assign(hastened, real)
  return () => {
    timers.setTimeout = real
  }
}
