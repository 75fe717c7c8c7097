import { createServer, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from '../../test/support/servers/servers.js'
import { load, versionOf } from './packages.js'
import { proxyTo, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'

/** As much of a socket of socket.io as is used here, on either side. */
interface IoSocket {
  readonly connected: boolean
  readonly io: {
    readonly engine: {
      readonly transport: { readonly name: string }
      once(event: string, to: () => void): void
    }
  }
  on(event: string, to: (...args: never[]) => void): this
  once(event: string, to: (...args: never[]) => void): this
  emit(event: string, ...args: unknown[]): this
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown>
  disconnect(close?: boolean): this
}

interface IoServer {
  on(event: 'connection', to: (socket: IoSocket) => void): void
  emit(event: string, ...args: unknown[]): void
}

interface ServerModule {
  readonly Server: new (server: Server, options: object) => IoServer
}

interface ClientModule {
  readonly io: (url: string, options: object) => IoSocket
}

const ways: Readonly<Record<string, readonly string[]>> = {
  polling: ['polling'],
  websocket: ['websocket'],
  'polling, then websocket': ['polling', 'websocket'],
}

const MESSAGES = 200
const CLIENTS = 20

/** socket.io: long polling, WebSockets, and the change from one to the other. */
export async function socketIo(trial: Trial): Promise<void> {
  const { Server: Io } = await load<ServerModule>('socket.io')
  const client = await load<ClientModule>('socket.io-client')
  trial.server = versionOf('socket.io')
  const http = createServer()
  const server = new Io(http, { maxHttpBufferSize: 1e7, perMessageDeflate: true })
  const left: string[] = []
  server.on('connection', (socket) => serveSocket(socket, left))
  const { url } = await listen(http)
  const proxy = await proxyTo(url)
  for (const [name, transports] of Object.entries(ways)) {
    const connect = (at: string): IoSocket =>
      client.io(at, { transports, forceNew: true, reconnection: false })
    const [one, other] = [await talk(connect(url)), await talk(connect(proxy.url))]
    trial.same(name, one, other)
    await broadcast(trial, name, server, () => connect(proxy.url))
  }
  await leaving(trial, left, () => client.io(proxy.url, { transports: ['websocket'], forceNew: true }))
  const codes = takeCodes(proxy)
  trial.holds('no errors', codes.length === 0, () => codes.join(', '))
}

function serveSocket(socket: IoSocket, left: string[]): void {
  socket.on('echo', (value: unknown, answer: (value: unknown) => void) => answer(value))
  socket.on('disconnect', (reason: string) => left.push(reason))
  socket.on('leave', () => socket.disconnect(true))
}

/** What one client sees. */
async function talk(socket: IoSocket): Promise<unknown> {
  await connected(socket)
  const seen: unknown[] = []
  for (let i = 0; i < MESSAGES; i += 1) seen.push(await socket.emitWithAck('echo', { i, text: 'grüße' }))
  const bytes = Buffer.alloc(1_000_000, 'b')
  const back = (await socket.emitWithAck('echo', bytes)) as Buffer
  const transport = socket.io.engine.transport.name
  const reason = new Promise((resolve) => socket.once('disconnect', resolve))
  socket.emit('leave')
  return {
    messages: seen.length,
    isSame: bytes.equals(back),
    transport,
    reason: await reason,
    last: seen.at(-1),
  }
}

async function connected(socket: IoSocket): Promise<void> {
  if (socket.connected) return
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', reject)
  })
}

/** A message of the server reaches many clients, also those that poll. */
async function broadcast(
  trial: Trial,
  name: string,
  server: IoServer,
  connect: () => IoSocket,
): Promise<void> {
  const sockets = Array.from({ length: CLIENTS }, connect)
  await Promise.all(sockets.map(connected))
  const heard = sockets.map(async (socket) => await new Promise((resolve) => socket.once('news', resolve)))
  server.emit('news', name)
  const news = await Promise.all(heard)
  trial.holds(
    `${name}: a broadcast reaches ${CLIENTS}`,
    news.every((one) => one === name),
  )
  for (const socket of sockets) socket.disconnect()
}

/** The server hears of a client that leaves. */
async function leaving(trial: Trial, left: string[], connect: () => IoSocket): Promise<void> {
  const socket = connect()
  await connected(socket)
  const before = left.length
  socket.disconnect()
  const end = performance.now() + 2000
  while (left.length === before && performance.now() < end) await sleep(10)
  trial.holds('the server hears of a client that leaves', left.length > before)
}
