import { ServerResponse, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

import createDebug from 'debug'

import { offerUpgrade } from '../shared/upgrade.js'

const debug = createDebug('sluiceway:attach')

/** What Node hands over with an 'upgrade' event. */
interface Upgrade {
  readonly req: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** Sends one upgrade through the app, as a request whose connection may be taken over. */
export function runUpgrade(server: Server | SecureServer, app: RequestListener, upgrade: Upgrade): void {
  const { req, socket, head } = upgrade
  // Node has taken its own listeners off; an error nobody hears would end the process.
  socket.on('error', ignore)
  if (isPlain(req)) {
    debug('%s %s: served as a plain request', req.method, req.url)
    serveWithoutUpgrade(server, upgrade)
    return
  }
  offerUpgrade(req, { socket, head })
  endWithClient(socket)
  app(req, responseOn(socket as Socket, req))
}

/**
 * Tells whether the upgrade is ignored, as any may be (RFC 9110 §7.8): h2c, as a tunnel would lead round every rule
 * of the app (golang/go#80416), and a request with a body, which Node no longer takes apart.
 */
export function isPlain(req: IncomingMessage): boolean {
  const { upgrade = '', 'content-length': length = '0', 'transfer-encoding': coding } = req.headers
  return /(?:^|,)\s*h2c\s*(?:,|$)/i.test(upgrade) || length !== '0' || coding !== undefined
}

/** Gives the connection back to the server, its request head written anew without the upgrade. */
function serveWithoutUpgrade(server: Server | SecureServer, { req, socket, head }: Upgrade): void {
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`]
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string
    const value = withoutUpgrade(name, req.rawHeaders[i + 1] as string)
    if (value !== undefined) lines.push(`${name}: ${value}`)
  }
  const again = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  socket.unshift(Buffer.concat([again, head]))
  server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket)
}

/** The value of a line without its part in the upgrade; undefined where nothing is left of it. */
function withoutUpgrade(name: string, value: string): string | undefined {
  if (/^(?:upgrade|http2-settings)$/i.test(name)) return undefined
  if (!/^connection$/i.test(name)) return value
  const options = value.split(',').map((option) => option.trim())
  const rest = options.filter((option) => !/^(?:upgrade|http2-settings)$/i.test(option))
  return rest.length === 0 ? undefined : rest.join(', ')
}

/**
 * Ends the connection of a client that ends it before anybody has taken it over, as the server does with a request that is
 * still unanswered; so `res` emits 'close'. Bytes that came early stay in the socket. Whoever reads it has to
 * deal with its end himself.
 */
function endWithClient(socket: Duplex): void {
  socket.on('end', endToo).on('newListener', leaveToReader)
}

function endToo(this: Duplex): void {
  this.end()
}

function leaveToReader(this: Duplex, event: string | symbol): void {
  if (event !== 'data' && event !== 'readable') return
  this.off('newListener', leaveToReader).off('end', endToo)
}

/** A response such as the server makes for any request, on a connection that ends with it. */
function responseOn(socket: Socket, req: IncomingMessage): ServerResponse {
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(socket)
  socket.on('drain', onSocketDrain)
  res.on('finish', onResponseFinish)
  return res
}

interface SocketWithResponse extends Socket {
  /** Set by `assignSocket`. */
  _httpMessage?: ServerResponse | null
}

/** The server does this for its own connections. */
function onSocketDrain(this: SocketWithResponse): void {
  this._httpMessage?.emit('drain')
}

function onResponseFinish(this: ServerResponse): void {
  this.socket?.destroySoon()
}

function ignore(): void {}
