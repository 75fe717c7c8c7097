import { AsyncLocalStorage } from 'node:async_hooks'
import http from 'node:http'
import { Socket, type NetConnectOpts } from 'node:net'
import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type PassthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { attached } from '../../support/servers/attached.js'
import { closeServers, serve } from '../../support/servers/servers.js'
import { turns } from '../../support/time/turns.js'
import { needsOwnClient } from '../../support/undici/transports.js'

/** What a library that intercepts sockets replaces on each. */
interface Intercepted {
  connecting: boolean
  _read: () => void
  _writeGeneric: (isMany: boolean, data: unknown, encoding: string, callback: () => void) => void
}

type Connect = (this: Socket, options: NetConnectOpts, listener?: () => void) => Socket

/** Connects a socket to nothing, tells that twice, and pushes an answer to each of its writes, as nock 15 does; then it ends. */
function connectToNothing(connect: Connect, answers: readonly string[]): Connect {
  return function (this: Socket, ...[normalized]) {
    const [options] = normalized as unknown as [NetConnectOpts]
    const socket = this as unknown as Intercepted
    const left = [...answers]
    socket._read = () => undefined
    socket._writeGeneric = (_isMany, _data, _encoding, callback) => {
      callback()
      setImmediate(() => this.push(left.shift() ?? null))
    }
    connect.call(this, { ...options, host: 'mocked.example', lookup: () => undefined })
    setImmediate(() => {
      socket.connecting = false
      for (const listener of this.rawListeners('connect')) listener.apply(this)
      this.emit('connect')
    })
    return this
  }
}

/** True while `http.request` runs, and in the connections that are opened then. */
const inRequest = new AsyncLocalStorage<boolean>()

/** Replaces `http.request` as msw 3 does, to know the connections that it opens. */
function knowingRequest(request: (options: object) => http.ClientRequest): typeof http.request {
  return (options: unknown) => inRequest.run(true, request, options as object)
}

/** Mocks only connections of `http.request`, and ends others. */
function connectOfRequest(connect: Connect, answers: readonly string[]): Connect {
  return function (this: Socket, ...given) {
    if (inRequest.getStore() === true) return connectToNothing(connect, answers).apply(this, given)
    return connectToNothing(connect, [REFUSED]).apply(this, given)
  }
}

function thrown(): never {
  throw new Error('no connections in tests')
}

const OWN = 'undici has connections of its own, which know nothing of `http.request`'
const REFUSED = 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nmocked'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

describe('passthroughProxy when a library such as nock intercepts all sockets', () => {
  const connect = Reflect.get(Socket.prototype, 'connect') as Connect
  const { request } = http
  let proxy: PassthroughProxy
  afterEach(closeServers)
  afterEach(() => {
    Object.assign(Socket.prototype, { connect })
    Object.assign(http, { request })
    // Proxies with the same options share their connections.
    void proxy.destroy()
  })

  /** Returns clients of a proxy whose connections, from now on, are intercepted. */
  async function clients(count: number, answers: readonly string[]): Promise<RawClient[]> {
    proxy = passthroughProxy('http://mocked.example', { maxConnections: 1 })
    const { port } = await attached(express().set('env', 'test').use(proxy))
    const found = await Promise.all(Array.from({ length: count }, () => RawClient.connect(port)))
    Object.assign(Socket.prototype, { connect: connectToNothing(connect, answers) })
    return found
  }

  it('sends the answers that it gives, on a kept connection too', async () => {
    const [asking] = (await clients(1, [ANSWER, ANSWER.replace('mocked', 'second')])) as [RawClient]
    for (const expected of ['mocked', 'second']) {
      asking.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      expect(String((await asking.response()).body)).to.equal(expected)
    }
    asking.destroy()
  })

  it('sends an answer to each of the requests that wait for one connection', async () => {
    const waiting = await clients(2, [ANSWER, ANSWER])
    for (const each of waiting) each.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
    for (const each of waiting) {
      expect(String((await each.response()).body)).to.equal('mocked')
      each.destroy()
    }
  })

  it('passes the bytes of a tunnel on', async () => {
    const [asking] = (await clients(1, [SWITCH, 'hello to you'])) as [RawClient]
    asking.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(await asking.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 101 /)
    asking.write('hello')
    expect(await asking.untilText('you')).to.contain('hello to you')
    asking.destroy()
  })

  it('sends the answers of one that mocks only connections of `http.request`', async function () {
    needsOwnClient(this, OWN)
    const [asking] = (await clients(1, [])) as [RawClient]
    Object.assign(Socket.prototype, { connect: connectOfRequest(connect, [ANSWER, ANSWER]) })
    Object.assign(http, { request: knowingRequest(request) })
    for (let round = 0; round < 2; round += 1) {
      asking.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      expect(String((await asking.response()).body)).to.equal('mocked')
    }
    asking.destroy()
  })

  for (const [when, changes] of [
    ['as soon as an answer has come', () => {}],
    ['while connections are idle', () => turns(10)],
  ] as const) {
    it(`opens new connections when it begins and when it ceases to intercept them, ${when}`, async function () {
      needsOwnClient(this, OWN)
      const upstream = await serve((_req, res) => res.end('real'))
      proxy = passthroughProxy(upstream.url)
      const app = express().set('env', 'test').use(proxy)
      const asking = await RawClient.connect((await attached(app)).port)
      const mocks = connectToNothing(connect, [ANSWER, ANSWER])
      for (const [way, expected] of [
        [connect, 'real'],
        [mocks, 'mocked'],
        [mocks, 'mocked'],
        [connect, 'real'],
      ] as const) {
        await changes()
        Object.assign(Socket.prototype, { connect: way })
        asking.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
        expect(String((await asking.response()).body)).to.equal(expected)
      }
      asking.destroy()
    })
  }

  it('opens one connection for each request where the method that opens them is another each time', async function () {
    needsOwnClient(this, OWN)
    let opened = 0
    const upstream = await serve((_req, res) => res.end('real'))
    proxy = passthroughProxy(upstream.url)
    const asking = await RawClient.connect((await attached(express().set('env', 'test').use(proxy))).port)
    const another = (): Connect =>
      function (this: Socket, ...given) {
        opened += 1
        Object.assign(Socket.prototype, { connect: another() })
        return connect.apply(this, given)
      }
    Object.assign(Socket.prototype, { connect: another() })
    for (let round = 0; round < 2; round += 1) {
      asking.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      expect(String((await asking.response()).body)).to.equal('real')
    }
    expect(opened).to.equal(2)
    asking.destroy()
  })

  const REQUESTS: readonly [string, (options: http.RequestOptions) => unknown][] = [
    ['throws', () => thrown()],
    ['returns nothing', () => undefined],
    [
      'throws after it has opened a connection',
      (options) => [options.createConnection!({}, () => {}), thrown()],
    ],
    ['opens a connection later', (options) => setImmediate(() => options.createConnection!({}, () => {}))],
  ]
  for (const [how, replaced] of REQUESTS) {
    it(`sends the answer of a mock beside an \`http.request\` that ${how}`, async function () {
      needsOwnClient(this, OWN)
      const [asking] = (await clients(1, [ANSWER])) as [RawClient]
      const mocks = connectToNothing(connect, [ANSWER])
      let opened = 0
      const counting: Connect = function (this: Socket, ...given) {
        opened += 1
        return mocks.apply(this, given)
      }
      Object.assign(Socket.prototype, { connect: counting })
      Object.assign(http, { request: replaced })
      asking.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      expect(String((await asking.response()).body)).to.equal('mocked')
      // The first one shows that connections are intercepted.
      expect(opened).to.equal(2)
      asking.destroy()
    })
  }

  it('answers 502 if it intercepts a connection, and then lets none be opened', async function () {
    needsOwnClient(this, OWN)
    const [asking] = (await clients(1, [])) as [RawClient]
    const mocks = connectToNothing(connect, [])
    let opened = 0
    const once: Connect = function (this: Socket, ...given) {
      opened += 1
      return opened === 1 ? mocks.apply(this, given) : thrown()
    }
    Object.assign(Socket.prototype, { connect: once })
    asking.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
    expect((await asking.response()).status).to.equal(502)
    asking.destroy()
  })

  it('sends a request only once whose kept connection it ends', async () => {
    const [asking] = (await clients(1, [ANSWER])) as [RawClient]
    for (const expected of [200, 502]) {
      asking.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      expect((await asking.response()).status).to.equal(expected)
    }
    asking.destroy()
  })
})
