import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { passthroughProxy, type PassthroughProxyOptions } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { hosts, type Handler } from '../../support/express/hosts.js'
import { request } from '../../support/servers/proxied.js'
import { answer, scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { deferred } from '../../support/time/deferred.js'
import { roundTrip } from '../../support/time/standstill.js'
import { until } from '../../support/time/until.js'

const CHUNKED = 'HTTP/1.1 200 OK\r\nX-Upstream: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const PARTS = [CHUNKED, '3\r\none\r\n', '3\r\ntwo\r\n', '0\r\nX-Sum: 1\r\n\r\n']

function careless(): never {
  throw new Error('careless')
}

/** Makes a method of the response fail after this number of calls, before or after it does its work. */
function failing(method: string & keyof ServerResponse, { calls = 0, after = false } = {}): Handler {
  return (_req, res, next) => {
    const own = res[method] as (...args: unknown[]) => unknown
    let called = 0
    ;(res as unknown as Record<string, unknown>)[method] = function (this: unknown, ...args: unknown[]) {
      called += 1
      if (called !== calls + 1) return own.apply(this, args)
      if (after) own.apply(this, args)
      return careless()
    }
    next()
  }
}

function both(first: Handler, second: Handler): Handler {
  return (req, res, next) => first(req, res, () => second(req, res, next))
}

interface Outcome {
  /** All that the client got. */
  readonly got: string
  readonly errors: readonly unknown[]
  readonly connection: RawClient
}

for (const { name, mount } of hosts) {
  describe(`passthroughProxy in an application that throws (${name})`, () => {
    afterEach(closeServers)

    /** Lets an upstream answer in parts, and gives what became of them once the client's connection has ended. */
    async function run(
      before: Handler,
      { sent = request('GET', '/', 'Connection: close'), parts = PARTS, ...options }: RunOptions = {},
    ): Promise<Outcome> {
      const upstream = await scriptedUpstream()
      const meanwhile = await serve((_req, res) => res.end())
      const errors: unknown[] = []
      const proxy: Handler = (req, res, next) =>
        passthroughProxy(upstream.url, options)(req, res, (error) => {
          errors.push(error)
          next(error)
        })
      const client = await RawClient.connect((await serve(mount(before, proxy))).port)
      client.write(sent)
      const connection = await upstream.connection()
      await connection.untilText('\r\n\r\n')
      for (const part of parts) {
        connection.write(part)
        await roundTrip(meanwhile.url)
      }
      await client.closed()
      return { got: client.pending.toString('latin1'), errors, connection }
    }

    type RunOptions = PassthroughProxyOptions & { readonly sent?: string; readonly parts?: readonly string[] }

    for (const [what, before] of [
      // Headers are appended one by one only for a `writeHead` of the application's own.
      ['appendHeader', both(failing('writeHead', { calls: 1 }), failing('appendHeader'))],
      ['writeHead', failing('writeHead')],
    ] as const) {
      it(`answers 500, and ends the upstream's answer, if ${what} fails`, async () => {
        const { got, errors, connection } = await run(before, { parts: PARTS.slice(0, 3) })
        expect(got).to.match(/^HTTP\/1\.1 500 /)
        expect(errors.map(String)).to.deep.equal(['Error: careless'])
        await connection.closed()
      })
    }

    for (const [what, before] of [
      ['writeHead fails after its work', failing('writeHead', { after: true })],
      ['the first write fails', failing('write')],
      ['the second write fails', failing('write', { calls: 1 })],
      ['a write fails after its work', failing('write', { after: true })],
      ['addTrailers fails', failing('addTrailers')],
      ['end fails', failing('end')],
      ['flushHeaders fails', failing('flushHeaders')],
    ] as const) {
      it(`cuts the client's connection, and calls next with the error, if ${what}`, async () => {
        const { got, errors } = await run(before)
        expect(got).not.to.match(/0\r\n(?:X-Sum: 1\r\n)?\r\n$/)
        expect(errors.map(String)).to.deep.equal(['Error: careless'])
      })
    }

    it("cuts the connection if Express' own answer to an error fails, in the middle of an upload", async function () {
      if (name === 'bare http') this.skip()
      const upstream = await scriptedUpstream()
      const proxy = passthroughProxy(upstream.url)
      const client = await RawClient.connect((await serve(mount(failing('end'), proxy))).port)
      client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab')
      const connection = await upstream.connection()
      await connection.untilText('ab')
      connection.socket.resetAndDestroy()
      await client.closed()
      expect(client.pending.toString()).not.to.match(/^HTTP\/1\.1 200/)
    })

    it('makes an error of a thrown value that is not one', async () => {
      const { got, errors } = await run((_req, res, next) => {
        const writeHead = res.writeHead.bind(res)
        res.writeHead = () => {
          res.writeHead = writeHead
          // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error -- some code does
          throw 'careless'
        }
        next()
      })
      expect(got).to.match(/^HTTP\/1\.1 500 /)
      expect(errors).to.have.length(1)
      expect(errors[0]).to.be.instanceOf(Error).and.have.property('cause', 'careless')
    })

    it('cuts the connection if destroy fails too', async () => {
      const destroys = failing('destroy')
      const { errors } = await run((req, res, next) =>
        failing('write')(req, res, () => destroys(req, res, next)),
      )
      expect(errors.map(String)).to.deep.equal(['Error: careless'])
    })

    it('continues if write returns undefined', async () => {
      const { got, errors } = await run((_req, res, next) => {
        const write = res.write.bind(res) as (...args: unknown[]) => boolean
        res.write = ((...args: unknown[]) => void write(...args)) as never
        next()
      })
      expect(got).to.match(/0\r\nX-Sum: 1\r\n\r\n$/)
      expect(errors).to.deep.equal([])
    })

    it("cuts the connection if resuming fails in the listener for 'drain'", async () => {
      const resume = (): never => careless()
      const dispatcher = {
        dispatch(_options: unknown, handler: Record<string, (...args: unknown[]) => unknown>) {
          handler['onConnect']!(() => {})
          handler['onHeaders']!(200, [], resume, 'OK')
          setImmediate(() => {
            while (handler['onData']!(Buffer.alloc(100_000)) === true);
          })
          return true
        },
      } as never
      const errors: unknown[] = []
      const proxy: Handler = (req, res, next) =>
        passthroughProxy('http://upstream', { dispatcher })(req, res, (error) => {
          errors.push(error)
          next(error)
        })
      const client = await RawClient.connect((await serve(mount(proxy))).port)
      client.write(request('GET', '/'))
      await client.closed()
      expect(errors.map(String)).to.deep.equal(['Error: careless'])
    })

    for (const [what, end] of [
      ['a length', [`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none`, 'two']],
      ['chunks', [`${CHUNKED}3\r\none\r\n`, '3\r\ntwo\r\n0\r\n\r\n']],
    ] as const) {
      it(`leaves an answer with ${what} alone that the application has ended while it waits for its turn`, async () => {
        const upstream = await scriptedUpstream()
        const first = deferred<ServerResponse>()
        const second = deferred<ServerResponse>()
        const keep: Handler = (req, res, next) => {
          if (req.url === '/first') first.resolve(res)
          else next(second.resolve(res))
        }
        const client = await RawClient.connect(
          (await serve(mount(keep, passthroughProxy(upstream.url)))).port,
        )
        client.write(request('GET', '/first'), request('GET', '/second'))
        const connection = await upstream.connection()
        await connection.untilText('\r\n\r\n')
        connection.write(end[0])
        const res = await second.promise
        await until(() => res.headersSent)
        res.end()
        connection.write(end[1])
        await connection.closed()
        ;(await first.promise).end('first')
        expect((await client.response()).body.toString()).to.equal('first')
      })
    }

    it('survives trailers that frame or that cannot be sent', async () => {
      const framing = [...PARTS.slice(0, 3), '0\r\nTransfer-Encoding: gzip\r\n\r\n']
      const whole = await run((_req, _res, next) => next(), { parts: framing })
      expect(whole.got).to.match(/3\r\ntwo\r\n0\r\n\r\n$/)
      const bad = [...PARTS.slice(0, 3), '0\r\nX-Sum: a\x01b\r\n\r\n']
      const cut = await run((_req, _res, next) => next(), { parts: bad })
      expect(cut.got).not.to.match(/0\r\n\r\n$/)
      expect(cut.errors).to.have.length(1)
    })
  })
}

describe('passthroughProxy whose next throws', () => {
  afterEach(closeServers)

  for (const [what, sent, answerWith] of [
    ['before anything is sent', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', undefined],
    ['during an upload', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab', undefined],
    ['when the request cannot be passed on', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', undefined],
    ['in the middle of an answer', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', CHUNKED],
  ] as const) {
    for (const onRequest of [undefined, () => {}]) {
      it(`ends only that connection, ${what}${onRequest === undefined ? '' : ', after a hook'}`, async () => {
        const upstream = await scriptedUpstream()
        const proxy = passthroughProxy(upstream.url, { onRequest })
        const server = await serve((req, res) => proxy(req, res, careless))
        const client = await RawClient.connect(server.port)
        client.write(sent)
        if (!sent.startsWith('OPTIONS')) {
          const connection = await upstream.connection()
          await connection.untilText('\r\n\r\n')
          if (answerWith !== undefined) {
            connection.write(answerWith)
            await client.untilText('\r\n\r\n')
          }
          connection.socket.resetAndDestroy()
        }
        await client.closed()
        expect(client.pending.toString()).to.equal('')
      })
    }
  }
})

describe('passthroughProxy and listeners of the application that throw while a request is sent', () => {
  afterEach(closeServers)

  it('fails that request, and sends the one that waits behind it', async () => {
    const upstream = await scriptedUpstream()
    const proxy = passthroughProxy(upstream.url, { maxConnections: 1 })
    const server = await serve((req, res) => {
      if (req.method === 'POST') {
        const complain = (event: string): void => {
          if (event !== 'end') return
          req.off('newListener', complain)
          careless()
        }
        req.on('newListener', complain)
      }
      proxy(req, res)
    })
    const [first, second, third] = [0, 0, 0].map(() => RawClient.connect(server.port))
    ;(await first!).request('GET', '/first')
    const connection = await upstream.connection()
    await connection.untilText('/first')
    ;(await second!).request('POST', '/second', {}, ['a body'])
    await until(() => proxy.stats.requests === 2)
    ;(await third!).request('GET', '/third')
    await until(() => proxy.stats.requests === 3)
    connection.write(answer())
    expect((await (await second!).response()).status).to.equal(502)
    const next = await upstream.connection()
    await next.untilText('/third')
    next.write(answer())
    expect((await (await third!).response()).body.toString()).to.equal('ok')
  })
})
