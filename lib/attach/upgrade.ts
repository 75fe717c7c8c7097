import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import createDebug from 'debug'

import { announceClosing, currentResponse, responseClassOf, tellDrained } from '../node/connection.js'
import type { CheckingServer, ServerSocket } from '../node/internals.js'
import { offerUpgrade } from '../node/pending-upgrade.js'
import { closeConnection } from './close-connection.js'
import { holdEarlyBytes } from './early-bytes.js'
import { isTakeable, isTurnOf } from './takeable.js'

const debug = createDebug('sluiceway:attach')

/**
 * The `head` of the inner 'upgrade': `holdEarlyBytes` gives the real bytes to the handler that takes the connection
 * over.
 */
const NOTHING = Buffer.alloc(0)

/** The arguments of an 'upgrade' event. */
export interface Upgrade {
  readonly req: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** Sends an upgrade through the app, as a request whose connection can be taken over. */
export function runUpgrade(server: CheckingServer, app: RequestListener, upgrade: Upgrade): void {
  const { req } = upgrade
  const socket = upgrade.socket as ServerSocket
  // Node has removed its own listeners, and an 'error' without a listener would end the process.
  socket.on('error', ignore)
  // This is false only on a connection that was open before `attach`, so that its parser is not watched.
  if (!isTakeable(server, req) || !isTurnOf(socket)) {
    debug('%s %s: not to be taken, the connection is cut', req.method, req.url)
    socket.destroy()
    return
  }
  socket.on('drain', onSocketDrain)
  holdEarlyBytes(socket, upgrade.head)
  waitForTurn(server, socket, () => void runApp(server, app, upgrade))
}

/** Waits for the end of the current response: Node hands an upgrade over as soon as it is parsed. */
function waitForTurn(server: CheckingServer, socket: ServerSocket, proceed: () => void): void {
  const previous = currentResponse(socket)
  if (previous === undefined) {
    proceed()
    return
  }
  const abort = (): void => abortRequest(previous.req)
  socket.once('close', abort)
  previous.once('finish', () => {
    socket.off('close', abort)
    // Node has just set the timeout of an idle connection, if the stream supports timeouts.
    ;(socket as Partial<ServerSocket>).setTimeout?.(server.timeout || 0)
    if (currentResponse(socket) === undefined && socket.writable) proceed()
    else closeConnection(socket)
  })
}

/** Aborts a request as the server does if its connection closes. */
function abortRequest(req: IncomingMessage): void {
  req.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
}

/** Runs the app. An exception or a rejection ends this connection, as it would otherwise end the process. */
async function runApp(server: CheckingServer, app: RequestListener, { req, socket }: Upgrade): Promise<void> {
  try {
    offerUpgrade(req, { socket, head: NOTHING })
    await (app(req, responseOn(server, socket as ServerSocket, req)) as unknown)
  } catch (error) {
    debug('%s %s: the app failed, the connection is cut: %o', req.method, req.url, error)
    socket.destroy()
  }
}

/** Creates a response as the server does for any request; the connection ends with it. */
function responseOn(server: CheckingServer, socket: ServerSocket, req: IncomingMessage): ServerResponse {
  const { rejectNonStandardBodyWrites } = server
  const highWaterMark = socket.writableHighWaterMark
  const res = new (responseClassOf(server))(req, { highWaterMark, rejectNonStandardBodyWrites })
  announceClosing(res)
  res.assignSocket(socket)
  res.on('finish', onResponseFinish)
  return res
}

/** Tells the current response of 'drain', as the server does on its own connections. */
function onSocketDrain(this: ServerSocket): void {
  const res = currentResponse(this)
  if (res?.writableNeedDrain) tellDrained(res)
}

function onResponseFinish(this: ServerResponse): void {
  if (this.socket !== null) closeConnection(this.socket)
}

function ignore(): void {}
