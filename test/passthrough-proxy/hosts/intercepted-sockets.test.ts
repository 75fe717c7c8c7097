import { Socket, type NetConnectOpts } from 'node:net'
import { expect } from 'chai'
import express from 'express'
import { passthroughProxy, type PassthroughProxy } from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { attached } from '../../support/servers/attached.js'
import { closeServers } from '../../support/servers/servers.js'

/** What a library that intercepts sockets replaces on each. */
interface Intercepted {
  connecting: boolean
  _read: () => void
  _writeGeneric: (isMany: boolean, data: unknown, encoding: string, callback: () => void) => void
}

type Connect = (this: Socket, options: NetConnectOpts, listener?: () => void) => Socket

/** Connects a socket to nothing, tells that twice, and pushes an answer to each of its writes, as nock 15 does. */
function connectToNothing(connect: Connect, answers: readonly string[]): Connect {
  return function (this: Socket, ...[normalized]) {
    const [options] = normalized as unknown as [NetConnectOpts]
    const socket = this as unknown as Intercepted
    const left = [...answers]
    socket._read = () => undefined
    socket._writeGeneric = (_isMany, _data, _encoding, callback) => {
      callback()
      setImmediate(() => this.push(left.shift()))
    }
    connect.call(this, { ...options, lookup: () => undefined })
    setImmediate(() => {
      socket.connecting = false
      for (const listener of this.rawListeners('connect')) listener.apply(this)
      this.emit('connect')
    })
    return this
  }
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nmocked'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

describe('passthroughProxy when a library such as nock intercepts all sockets', () => {
  const connect = Reflect.get(Socket.prototype, 'connect') as Connect
  let proxy: PassthroughProxy
  afterEach(closeServers)
  afterEach(() => {
    Object.assign(Socket.prototype, { connect })
    // Proxies with the same options share their connections.
    void proxy.destroy()
  })

  /** Returns clients of a proxy whose connections, from now on, are intercepted. */
  async function clients(count: number, answers: readonly string[]): Promise<RawClient[]> {
    proxy = passthroughProxy('http://mocked.example', { maxConnections: 1 })
    const { port } = await attached(express().use(proxy))
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
})
