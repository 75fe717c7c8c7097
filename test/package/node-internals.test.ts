import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { pipeline, Readable, Writable } from 'node:stream'
import { json } from 'node:stream/consumers'
import type { StringDecoder } from 'node:string_decoder'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { RawClient } from '../support/clients/raw-client.js'
import { expressFor } from '../support/express/express-versions.js'
import { readText, root } from '../support/repository/repository.js'
import { closeServers, listen, serve } from '../support/servers/servers.js'

/** A member of an object of Node, whether or not its types declare it. */
function member(object: object, name: string | symbol): unknown {
  return (object as Record<string | symbol, unknown>)[name]
}

/** The symbol under which a response notes that its buffer is full. */
function needDrainOf(response: ServerResponse): { NEED_DRAIN: symbol; none: unknown } {
  const NEED_DRAIN = Object.getOwnPropertySymbols(response).find(
    ({ description }) => description === 'kNeedDrain',
  )!
  return { NEED_DRAIN, none: member(response, NEED_DRAIN) }
}

/** Runs a program in a process of its own, and returns what it prints. */
async function run(program: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program])
  return JSON.parse(stdout) as string[]
}

describe('the members that lib/node/internals.ts relies on', () => {
  let client: RawClient
  let req: IncomingMessage
  let res: ServerResponse

  beforeEach(async () => {
    const { server, port } = await serve(() => {})
    const arrived = once(server, 'request')
    client = await RawClient.connect(port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')
    ;[req, res] = (await arrived) as [IncomingMessage, ServerResponse]
  })
  afterEach(() => client.destroy())
  afterEach(closeServers)

  it('exist in the state of a stream, new or in use', async () => {
    const Constructor = member(Readable, 'ReadableState') as new (...args: unknown[]) => object
    const fresh = new Constructor({ highWaterMark: 7, autoDestroy: false }, req, false)
    expect(fresh).to.include({ highWaterMark: 7, length: 0, encoding: null, flowing: null })
    for (const name of ['autoDestroy', 'ended', 'endEmitted', 'dataEmitted', 'destroyed', 'closeEmitted']) {
      expect(member(fresh, name), name).to.equal(false)
    }
    expect(member(fresh, 'pipes')).to.deep.equal([])
    expect(member(fresh, 'errored')).to.equal(null)
    expect(member(fresh, 'decoder')).to.equal(null)
    const decoder = member(member(new Readable({ encoding: 'utf8' }), '_readableState') as object, 'decoder')
    ;(decoder as StringDecoder).write(Buffer.from([0xe2, 0x82]))
    expect(decoder).to.include({ lastTotal: 3, lastNeed: 1 })
    await once(req, 'data')
    expect(member(member(req, '_readableState') as object, 'dataEmitted')).to.equal(true)
  })

  it('let a stream flow or not, by a property that is documented as readable', () => {
    for (const flowing of [false, null] as const) {
      Object.assign(req, { readableFlowing: flowing })
      expect(member(member(req, '_readableState') as object, 'flowing')).to.equal(flowing)
    }
  })

  it('exist in the states of a socket, read and write', () => {
    for (const state of ['_readableState', '_writableState']) {
      const held = member(req.socket, state) as { autoDestroy: boolean }
      expect(held.autoDestroy, state).to.equal(true)
      held.autoDestroy = false
      expect(held.autoDestroy, state).to.equal(false)
    }
  })

  it('are distinguished from replacements by words of their source', async () => {
    const untouched = (await import(`${root}/dist/esm/node/response/untouched-response.js`)) as Record<
      string,
      (response: ServerResponse) => boolean
    >
    expect([untouched['isUntouched']?.(res), untouched['isHeadUntouched']?.(res)]).to.deep.equal([true, true])
  })

  it('exist in a request that is being parsed, its response and its socket', () => {
    expect(member(req, '_consuming')).to.equal(false)
    expect(member(res, '_last')).to.equal(false)
    expect(member(res, '_closed')).to.equal(false)
    expect(member(res, 'destroyed')).to.equal(false)
    expect(member(res, '_hasBody')).to.equal(true)
    expect(member(res, '_expect_continue')).to.equal(false)
    expect(member(res, '_send')).to.be.a('function')
    expect(member(res, '_writeRaw')).to.be.a('function')
    expect(member(IncomingMessage.prototype, '_read')).to.be.a('function')
    expect(member(res, 'socket')).to.equal(member(req, 'socket'))
    const parser = member(req.socket, 'parser') as object
    expect(member(parser, 'incoming')).to.equal(req)
    expect(member(parser, 'onIncoming')).to.be.a('function')
    expect(member(parser, 'execute')).to.be.a('function')
    expect(member(parser, 'maxHeaderPairs')).to.equal(2000)
    expect(member(req.socket, 'destroySoon')).to.be.a('function')
    const handle = member(req.socket, '_handle') as { getpeername(address: object): number }
    expect(handle.getpeername({})).to.equal(0)
  })

  it('join header lines as in `req.headers`', () => {
    const join = member(IncomingMessage.prototype, '_addHeaderLine') as Function
    const headers = {}
    const lines = 'Age 1 age 2 X-A 1 x-a 2 Cookie a Cookie b Set-Cookie a Set-Cookie b'.split(' ')
    for (let i = 0; i < lines.length; i += 2) join.call(req, lines[i], lines[i + 1], headers)
    expect(headers).to.deep.equal({ age: '1', 'x-a': '1, 2', cookie: 'a; b', 'set-cookie': ['a', 'b'] })
  })

  it('exist in the parser of a connection, as do the numbers of its events and the bytes at hand', async () => {
    const parser = member(req.socket, 'parser') as { getCurrentBuffer(): Buffer }
    expect(member(parser, 'getCurrentBuffer')).to.be.a('function')
    expect(member(parser, '_consumed')).to.equal(true)
    const onExecute = member(parser.constructor, 'kOnExecute') as string
    expect(onExecute).to.be.a('number')
    const own = member(parser, onExecute) as (parsed: number) => void
    // The head has been parsed, but its number is only told behind this.
    await new Promise(setImmediate)
    const parsed = new Promise<unknown[]>((resolve) => {
      Object.assign(parser, {
        [onExecute]: (count: number) => {
          resolve([count, String(parser.getCurrentBuffer())])
          own(count)
        },
      })
    })
    req.resume()
    client.write('cde')
    expect(await parsed).to.deep.equal([3, 'cde'])
  })

  it('exist in a server, and in a response that has to wait for its buffer', () => {
    const server = createServer()
    expect(member(server, 'requireHostHeader')).to.equal(true)
    expect(member(server, 'rejectNonStandardBodyWrites')).to.equal(false)
    const ofResponses = Object.getOwnPropertySymbols(server).filter(
      ({ description }) => description === 'ServerResponse',
    )
    expect(ofResponses.map((name) => member(server, name))).to.deep.equal([ServerResponse])
    expect(member(req, 'upgrade')).to.equal(false)
    expect(member(req.socket, '_httpMessage')).to.equal(res)
    expect(member(req.socket, '_paused')).to.equal(false)
    const { NEED_DRAIN, none } = needDrainOf(res)
    expect(none).to.equal(false)
    while (res.write(Buffer.alloc(100_000)));
    expect(member(res, NEED_DRAIN)).to.equal(true)
    expect(res.writableNeedDrain).to.equal(true)
  })

  it('mark a stream that a pipeline tried to destroy and that does not look destroyed', async () => {
    const stubborn = new Readable({ read: () => {} })
    stubborn.destroy = () => stubborn
    stubborn.push('a')
    const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })
    pipeline(stubborn, full, () => {})
    await once(full, 'error')
    await new Promise(setImmediate)
    expect(member(stubborn, Symbol.for('nodejs.stream.destroyed'))).to.equal(true)
  })

  it('exist in a response for which headers were set', () => {
    res.setHeader('X-Own', 'a')
    const kOutHeaders = Object.getOwnPropertySymbols(res).find(
      ({ description }) => description === 'kOutHeaders',
    )!
    expect(member(res, kOutHeaders)).to.deep.equal({ 'x-own': ['X-Own', 'a'] })
    Object.assign(res, { [kOutHeaders]: null })
    expect(res.getHeaderNames()).to.deep.equal([])
  })

  it('exist in a response over HTTP/2 that has trailers', async () => {
    const server = http2.createServer((_req, over2) => {
      over2.addTrailers({ 'X-Own': 'a' })
      const key = Object.getOwnPropertySymbols(over2).find(({ description }) => description === 'trailers')!
      over2.end(JSON.stringify(member(over2, key)))
    })
    const { port } = await listen(server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    expect(await json(session.request({ ':path': '/' }))).to.deep.equal({ 'x-own': 'a' })
    session.close()
  })

  it('exist in a response whose head is written, and that has trailers', () => {
    expect(member(res, '_header')).to.equal(null)
    expect(member(res, '_headerSent')).to.equal(false)
    res.addTrailers({ 'X-Own': 'a' })
    expect(member(res, '_trailer')).to.equal('X-Own: a\r\n')
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    expect(res.getHeader('content-type')).to.equal(undefined)
    expect(member(res, '_header')).to.match(/^HTTP\/1\.1 200 OK\r\nContent-Type: text\/event-stream\r\n/)
  })

  it('exist in a request whose signal is no longer to be aborted, where Node has one', function () {
    if (!('signal' in IncomingMessage.prototype)) this.skip()
    const detach = Object.getOwnPropertySymbols(IncomingMessage.prototype).find(
      ({ description }) => description === 'kDetachAbortSignal',
    )!
    const waiting = req.socket.listenerCount('close')
    expect(member(req, 'signal')).to.be.an.instanceOf(AbortSignal)
    expect(req.socket.listenerCount('close')).to.equal(waiting + 1)
    ;(member(req, detach) as () => void).call(req)
    expect(req.socket.listenerCount('close')).to.equal(waiting)
  })

  it('tell whether a response has sent a 100', () => {
    expect(member(res, '_sent100')).to.equal(false)
    res.writeContinue()
    expect(member(res, '_sent100')).to.equal(true)
  })

  it('give the length of a whole answer before its head is made', () => {
    const lengths: unknown[] = []
    const writeHead = res.writeHead.bind(res)
    res.writeHead = (status: number) => {
      lengths.push(member(res, '_contentLength'))
      return writeHead(status)
    }
    res.end('abc')
    expect(lengths).to.deep.equal([3])
  })

  it('hand over the pieces of a body, unless the request was answered unread', async () => {
    // Node uses a parser again, also one whose functions were replaced here; a process of its own has none.
    const [onBody, constructor] = await run(`
      const server = require('node:http').createServer(({ socket: { parser } }, res) => {
        console.log(JSON.stringify([parser[parser.constructor.kOnBody], parser.constructor].map(String)))
        res.setHeader('Connection', 'close').end()
        server.close()
      })
      server.listen(0, '127.0.0.1', () => fetch('http://127.0.0.1:' + server.address().port))`)
    // lib/node/connection/parser.ts looks for these parts of its text.
    expect(onBody).to.include('if (!stream._dumped) {').and.include('stream.push(b)')
    expect(constructor).to.include('[native code]')
    expect(member(req, '_dumped')).to.equal(false)
    res.end()
    await once(res, 'close')
    expect(member(req, '_dumped')).to.equal(true)
  })

  it('tell whether a stream was read, unless they are overridden', async () => {
    req.resume()
    await once(req, 'data')
    expect(Readable.isDisturbed(req)).to.equal(true)
    Object.assign(req, { [Symbol.for('nodejs.stream.disturbed')]: false })
    expect(Readable.isDisturbed(req)).to.equal(false)
  })

  it('exist in a request that body-parser 1 has parsed', async () => {
    const parse = expressFor('Express 4').text({ type: () => true })
    client.write('cde')
    const parsed = new Promise((resolve) => {
      parse(req, res, resolve)
    })
    await parsed
    expect(member(req, '_body')).to.equal(true)
  })

  it('are all named in this file', () => {
    const [, ...parts] = readText('lib/node/internals.ts').split(/^export (?:interface|type|const) /m)
    const members = parts.flatMap((part) =>
      [...part.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, name = '']) => name),
    )
    const symbols = [
      'nodejs.stream.destroyed',
      'nodejs.stream.disturbed',
      'kNeedDrain',
      'kOutHeaders',
      '_expect_continue',
      'trailers',
    ]
    expect(members).to.have.length.above(25)
    const here = readText('test/package/node-internals.test.ts')
    // The state of a new request has these; its constructor names the event of a parser.
    const named = [...new Set([...members, ...symbols])].filter((name) => name !== 'constructor')
    expect(named.filter((name) => !new RegExp(`'${name}'|\\b${name}:`).test(here))).to.deep.equal([])
  })
})
