import type { EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { expect } from 'chai'
import express from 'express'
import { passthroughProxy } from 'sluiceway'
import { asChunk, RawClient } from '../../support/clients/raw-client.js'
import { closed, openDescriptors, runningTimers } from '../../support/process/open-resources.js'
import { attached } from '../../support/servers/attached.js'
import { closeServers, listen, serve, type TestServer } from '../../support/servers/servers.js'
import { deferred, type Deferred } from '../../support/time/deferred.js'

const REQUESTS = 1000
const AT_ONCE = 50

/** By the path of each request: settles when the upstream has the request, or the part of its body that was sent. */
let arrivals: Map<string, Deferred<void>>

function arrived(path: string): Deferred<void> {
  const known = arrivals.get(path) ?? deferred()
  arrivals.set(path, known)
  return known
}

/** The behaviour of the upstream, by the first part of the path; and how a client reaches the point where it leaves. */
const phases: Record<
  string,
  { answer: RequestListener; ask: (client: RawClient, path: string) => Promise<unknown> }
> = {
  'before-the-head': {
    answer: (req) => arrived(req.url ?? '').resolve(),
    ask(client, path) {
      client.request('GET', path)
      return arrived(path).promise
    },
  },
  'in-the-body': {
    answer: (_req, res) => void res.write('half'),
    ask(client, path) {
      client.request('GET', path)
      return client.untilText('half')
    },
  },
  'in-the-upload': {
    answer: (req) => req.once('data', () => arrived(req.url ?? '').resolve()),
    ask(client, path) {
      client.write(`POST ${path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n`)
      client.write(asChunk('half'))
      return arrived(path).promise
    },
  },
  'after-the-answer': {
    answer: (_req, res) => void res.end('whole'),
    ask(client, path) {
      client.request('GET', path)
      return client.response()
    },
  },
}

/** The upstream's exchanges, until they are over. */
let exchanges: Promise<void>[]

function answerByPhase(req: IncomingMessage, res: ServerResponse): void {
  exchanges.push(new Promise((resolve) => void res.on('close', resolve)))
  phases[req.url?.split('/')[1] ?? '']?.answer(req, res)
}

describe('passthroughProxy leaves', () => {
  let upstream: TestServer
  let proxy: TestServer

  beforeEach(() => {
    arrivals = new Map()
    exchanges = []
  })
  afterEach(closeServers)

  async function leave(path: string, byFin: boolean): Promise<void> {
    const client = await RawClient.connect(proxy.port)
    await phases[path.split('/')[1] ?? '']?.ask(client, path)
    if (byFin) client.socket.end()
    else client.socket.resetAndDestroy()
    await closed(client.socket)
  }

  async function leaveAll(phase: string, count: number): Promise<void> {
    for (let n = 0; n < count; n += AT_ONCE) {
      const paths = Array.from({ length: AT_ONCE }, (_, i) => `/${phase}/${n + i}`)
      await Promise.all(paths.map((path, i) => leave(path, i % 2 === 0)))
    }
    await Promise.all([...exchanges, ...proxy.connections.map(closed)])
    // Those the pool has kept, or opened for somebody who had left.
    upstream.server.closeAllConnections()
    await Promise.all(upstream.connections.map(closed))
    arrivals.clear()
    exchanges = []
  }

  for (const phase of Object.keys(phases)) {
    it(`nothing behind after ${REQUESTS} requests whose client left ${phase.replaceAll('-', ' ')}`, async function () {
      this.timeout(60_000)
      upstream = await listen(createServer(answerByPhase))
      proxy = await serve(express().use(passthroughProxy(upstream.url)))
      await leaveAll(phase, AT_ONCE)
      const listeners = listenersOf(proxy.server, upstream.server, process)
      const timers = runningTimers()
      const descriptors = openDescriptors()
      await leaveAll(phase, REQUESTS)
      expect(listenersOf(proxy.server, upstream.server, process)).to.equal(listeners)
      // Those of earlier tests in this process may end meanwhile; one for each request would be far more.
      expect(runningTimers()).to.be.at.most(timers)
      expect(openDescriptors()).to.be.at.most(descriptors + 5)
    })
  }

  it(`nothing behind after ${REQUESTS} tunnels at once`, async function () {
    this.timeout(60_000)
    const server = createServer().on('upgrade', (_req: IncomingMessage, socket: Duplex) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.on('error', () => {}).pipe(socket)
    })
    upstream = await listen(server)
    proxy = await attached(express().use(passthroughProxy(upstream.url)))
    const descriptors = openDescriptors()
    const clients: RawClient[] = []
    for (let n = 0; n < REQUESTS; n += AT_ONCE) {
      clients.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => tunnel(proxy.port)))))
    }
    await Promise.all(
      clients.map((client, n) => {
        client.write(`message ${n};`)
        return client.untilText(`message ${n};`)
      }),
    )
    expect(upstream.connections.filter((socket) => !socket.closed)).to.have.length(REQUESTS)
    for (const [n, { socket }] of clients.entries()) {
      if (n % 2 === 0) socket.end()
      else socket.resetAndDestroy()
    }
    await Promise.all([...proxy.connections, ...upstream.connections].map(closed))
    await Promise.all(clients.map(({ socket }) => closed(socket)))
    expect(openDescriptors()).to.be.at.most(descriptors + 5)
  })
})

async function tunnel(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  expect(await client.untilText('\r\n\r\n')).to.match(/^HTTP\/1.1 101 /)
  return client
}

function listenersOf(...emitters: EventEmitter[]): number {
  return emitters
    .flatMap((emitter) => emitter.eventNames().map((event) => emitter.listenerCount(event)))
    .reduce((sum, count) => sum + count, 0)
}
