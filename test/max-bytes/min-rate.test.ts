import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { maxBytes, type SluicewayError } from 'sluiceway'
import { asChunk, lastChunk } from '../support/clients/raw-client.js'
import { hosts } from '../support/express/hosts.js'
import { serve } from '../support/servers/servers.js'
import { deferred } from '../support/time/deferred.js'
import { turns } from '../support/time/turns.js'
import {
  stopClock,
  HOUR,
  limited,
  clock,
  echo,
  readers,
  begin,
  send,
  refusal,
  expectRefused,
  finish,
} from './slow-clients.js'

describe('maxBytes({ minRate })', () => {
  stopClock()

  for (const { name, mount } of hosts) {
    describe(`on ${name}`, () => {
      it('refuses a client that stalls, as soon as its grace is over', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        await clock.pass(4999)
        expect(client.pending.toString()).to.equal('')
        await clock.pass(1)
        await expectRefused(client)
      })

      it('refuses a client that sends no byte of its body at all', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port, '', { 'Content-Length': '10' })
        await clock.pass(5000)
        await expectRefused(client)
      })

      it('refuses a client that keeps sending, but below the rate', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        let seconds = 0
        for (; client.pending.length === 0 && seconds < 20; seconds++) {
          await clock.pass(1000)
          await send(client, 50)
        }
        // It falls behind by half a second in each.
        expect(seconds).to.be.within(9, 10)
        await expectRefused(client)
      })

      it('lets a client pass that keeps the rate, however long it takes', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        for (let seconds = 0; seconds < 100; seconds++) {
          await send(client, 100)
          await clock.pass(1000)
        }
        expect(await finish(client)).to.equal(200)
      })

      it('takes no account of how fast a client was before it stalls', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        await send(client, 10_000)
        await clock.pass(5000)
        await expectRefused(client)
      })

      it('never counts time without a reader', async () => {
        const read = deferred()
        const { port } = await serve(
          mount(limited, (req, res, next) => void read.promise.then(() => echo(req, res, next))),
        )
        const client = await begin(port)
        await clock.pass(HOUR)
        read.resolve()
        await clock.pass(4000)
        expect(await finish(client)).to.equal(200)
      })

      it('never counts the time of a reader that holds the body up', async () => {
        const paused = deferred<() => void>()
        const { port } = await serve(
          mount(limited, (req, res) => {
            req.once('data', () => {
              req.pause()
              paused.resolve(() => req.on('data', () => {}).resume())
            })
            req.on('end', () => res.end('read'))
          }),
        )
        const client = await begin(port)
        client.write(asChunk(Buffer.alloc(1024 * 1024)))
        const resume = await paused.promise
        await clock.pass(HOUR)
        resume()
        expect(await finish(client)).to.equal(200)
      })

      it('does not count a pause, but counts the wait before it', async () => {
        const reading = deferred<{ pause(): void; resume(): void }>()
        const { port } = await serve(
          mount(limited, (req, res, next) => {
            reading.resolve(req)
            readers["a listener for 'data'"]!(req, res, next)
          }),
        )
        const client = await begin(port)
        const req = await reading.promise
        await clock.pass(3000)
        req.pause()
        await clock.pass(HOUR)
        req.resume()
        await clock.pass(1999)
        expect(client.pending.toString()).to.equal('')
        await clock.pass(1)
        await expectRefused(client)
      })

      it('counts nothing once the body is whole, nor on the connection that is kept', async () => {
        const handle = deferred()
        const { port } = await serve(
          mount(limited, (req, res) => void text(req).then(() => handle.promise.then(() => res.end('read')))),
        )
        const client = await begin(port)
        client.write(asChunk(']'), lastChunk)
        await turns()
        expect(clock.pending).to.equal(0)
        await clock.pass(HOUR)
        handle.resolve()
        expect((await client.response()).status).to.equal(200)
        await clock.pass(HOUR)
        client.request('POST', '/', {}, 'again')
        expect((await client.response()).status).to.equal(200)
      })

      it('gives the reader an error of its own', async () => {
        const given = deferred<SluicewayError>()
        const { port } = await serve(
          mount(limited, (req, res) => {
            req
              .on('data', () => {})
              .on('error', (error) => {
                given.resolve(error as SluicewayError)
                res.statusCode = 422
                res.end()
              })
          }),
        )
        const client = await begin(port)
        await clock.pass(5000)
        expect(await given.promise).to.include({
          code: 'ERR_SLUICEWAY_BODY_TOO_SLOW',
          status: 408,
          expose: true,
          received: 1,
        })
        expect((await refusal(client)).status).to.equal(422)
      })

      it('ends an answer that has begun, and its connection', async () => {
        const { port } = await serve(
          mount(limited, (req, res) => {
            res.writeHead(200, { 'Content-Length': '2' })
            res.flushHeaders()
            req.on('data', () => {}).on('error', () => res.end('ok'))
          }),
        )
        const client = await begin(port)
        await clock.pass(5000)
        const { status, body } = await refusal(client)
        expect([status, body.toString()]).to.deep.equal([200, 'ok'])
      })

      it('delivers the answer to a client that writes on before it reads', async () => {
        const { port } = await serve(mount(limited, echo))
        const client = await begin(port)
        client.socket.pause()
        await clock.pass(5000)
        for (let i = 0; i < 16; i++) {
          client.write(asChunk(Buffer.alloc(64 * 1024)))
          await turns()
        }
        client.socket.resume()
        await expectRefused(client)
      })
    })
  }
})

describe('the options of maxBytes({ minRate })', () => {
  const wrong = (minRate: unknown) => () => maxBytes({ limit: 1, minRate: minRate as never })

  it('are named with their group if they are wrong', () => {
    expect(wrong({})).to.throw(TypeError, 'maxBytes: option "minRate.bytesPerSecond" must be')
    expect(wrong({ bytesPerSecond: 0 })).to.throw(
      RangeError,
      'option "minRate.bytesPerSecond" must be at least 1 byte',
    )
    expect(wrong({ bytesPerSecond: Infinity })).to.throw(RangeError, 'option "minRate.bytesPerSecond"')
    expect(wrong({ bytesPerSecond: 240, graceMs: 0 })).to.throw(RangeError, 'option "minRate.graceMs"')
    expect(wrong({ bytesPerSecond: 240, graceMs: '5s' })).to.throw(TypeError, 'option "minRate.graceMs"')
    expect(wrong({ bytesPerSecond: 240, graceMs: 2 ** 31 })).to.throw(RangeError, 'option "minRate.graceMs"')
    expect(wrong({ bytesPerSecond: null })).to.throw(TypeError, 'got null')
    expect(wrong({ bytesPerSecond: 240, graceMS: 1 })).to.throw(
      TypeError,
      'unknown option "minRate.graceMS"; did you mean "minRate.graceMs"?',
    )
  })

  it('come in an object', () => {
    for (const value of [null, true, 240, '240', [240, 5000]]) {
      expect(wrong(value)).to.throw(
        TypeError,
        'option "minRate" must be an object with bytesPerSecond and graceMs (optional)',
      )
    }
  })

  it('may be sizes, absent, and undefined', () => {
    expect(wrong(undefined)).not.to.throw()
    expect(wrong({ bytesPerSecond: '1kb', graceMs: undefined })).not.to.throw()
  })
})
