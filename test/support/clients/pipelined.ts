import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { attach } from 'sluiceway'
import { listen, type TestServer } from '../servers/servers.js'
import { certificate, key } from '../servers/tls-certificate.js'
import { happened } from '../time/waiting.js'
import { RawClient } from './raw-client.js'

/** How a test reaches a server: with or without TLS. */
export interface Transport {
  readonly name: string
  /** Starts an app with `attach`. */
  readonly serve: (app: RequestListener) => Promise<TestServer>
  readonly connect: (port: number) => Promise<RawClient>
}

export const transports: readonly Transport[] = [
  {
    name: 'http',
    serve: (app) => start(createHttpServer(app), app),
    connect: (port) => RawClient.connect(port),
  },
  {
    name: 'https',
    serve: (app) => start(createHttpsServer({ key, cert: certificate }, app), app),
    connect: connectSecurely,
  },
]

function start(server: Server, app: RequestListener): Promise<TestServer> {
  attach(server, app)
  return listen(server)
}

/** The TCP connections below TLS. */
const below = new WeakMap<RawClient, net.Socket>()

async function connectSecurely(port: number): Promise<RawClient> {
  const tcp = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const socket = tls.connect({ socket: tcp, ca: certificate, servername: 'localhost' })
  await happened(`the client of port ${port}`, socket, 'secureConnect')
  const client = RawClient.over(socket, `the client of port ${port}`)
  below.set(client, tcp)
  return client
}

/** Resets the TCP connection of a client. */
export function cut(client: RawClient): void {
  ;(below.get(client) ?? client.socket).resetAndDestroy()
}

/** An upgrade to `token`, with its name as its path. */
export function upgradeTo(token: string, path = `/${token}`, ...lines: readonly string[]): string {
  return message(`GET ${path} HTTP/1.1`, 'Host: test', 'Connection: Upgrade', `Upgrade: ${token}`, ...lines)
}

/** One message: its request line, header lines and body. */
export function message(requestLine: string, ...lines: readonly string[]): string {
  return `${[requestLine, ...lines].join('\r\n')}\r\n\r\n`
}

const upgrade = ['Connection: Upgrade', 'Upgrade: websocket']

/** Messages by kind. The path of each is its name, followed by `?` and its place in a sequence. */
export const kinds: Readonly<Record<string, (path: string) => string>> = {
  slow: (path) => message(`GET ${path} HTTP/1.1`, 'Host: test'),
  websocket: (path) => upgradeTo('websocket', path),
  h2c: (path) => upgradeTo('h2c', path, 'HTTP2-Settings: AAMA'),
  unknown: (path) => upgradeTo('frobnicate', path),
  length: (path) =>
    `${message(`POST ${path} HTTP/1.1`, 'Host: test', ...upgrade, 'Content-Length: 28')}GET /smuggled HTTP/1.1\r\n\r\n!!`,
  chunked: (path) =>
    `${message(`POST ${path} HTTP/1.1`, 'Host: test', ...upgrade, 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`,
  expecting: (path) =>
    `${message(`POST ${path} HTTP/1.1`, 'Host: test', ...upgrade, 'Expect: 100-continue', 'Content-Length: 4')}body`,
  noHost: (path) => message(`GET ${path} HTTP/1.1`, ...upgrade),
  old: (path) => message(`GET ${path} HTTP/1.0`, 'Host: test', ...upgrade),
  two: (path) => message(`GET ${path} HTTP/2.0`, 'Host: test', ...upgrade),
}

export type Kind = keyof typeof kinds
