import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { announceClosing, currentResponse, responseClassOf, tellDrained } from '../node/connection.js'
import type { CheckingServer, ServerSocket } from '../node/internals.js'
import { offerUpgrade } from '../node/pending-upgrade.js'
import { exceptionContained, upgradeDecided } from '../shared/channels.js'
import type { UpgradeDecided } from '../shared/messages.js'
import { closeConnection } from './close-connection.js'
import { holdEarlyBytes } from './early-bytes.js'
import { isTakeable, isTurnOf } from './takeable.js'

/** What came with the head is among the bytes that the connection holds for the handler that takes it over. */
const NOTHING = Buffer.alloc(0)

/** What Node hands over with an 'upgrade' event. */
export interface Upgrade {
  readonly req: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** Sends one upgrade through the app, as a request whose connection may be taken over. */
export function runUpgrade(server: CheckingServer, app: RequestListener, upgrade: Upgrade): void {
  const { req } = upgrade
  const socket = upgrade.socket as ServerSocket
  // Node has removed its own listeners; without one, an error would end the process.
  socket.on('error', ignore)
  // Only a connection that was open before `attach` brings such an upgrade as far as this.
  if (!isTakeable(server, req) || !isTurnOf(socket)) {
    tellDecided(req, 'cut')
    socket.destroy()
    return
  }
  socket.on('drain', onSocketDrain)
  holdEarlyBytes(socket, upgrade.head)
  waitForTurn(server, socket, () => void runApp(server, app, upgrade))
}

/** Lets the response before this one end first: Node hands an upgrade over as soon as it is parsed. */
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
    // Node has just set the timeout of an idle connection, where the stream has timeouts.
    ;(socket as Partial<ServerSocket>).setTimeout?.(server.timeout || 0)
    if (currentResponse(socket) === undefined && socket.writable) proceed()
    else closeConnection(socket)
  })
}

/** The server does this with the requests of a connection that has closed. */
function abortRequest(req: IncomingMessage): void {
  req.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
}

/** An exception or a rejection ends this one connection: nobody but the process would hear of it. */
async function runApp(server: CheckingServer, app: RequestListener, { req, socket }: Upgrade): Promise<void> {
  try {
    tellDecided(req, 'offered')
    offerUpgrade(req, { socket, head: NOTHING })
    await (app(req, responseOn(server, socket as ServerSocket, req)) as unknown)
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
    socket.destroy()
  }
}

function tellDecided(req: IncomingMessage, outcome: UpgradeDecided['outcome']): void {
  const { upgrade = '' } = req.headers
  if (upgradeDecided.isObserved) upgradeDecided.tell({ req, upgrade, outcome })
}

/** A response such as the server makes for any request, on a connection that ends with it. */
function responseOn(server: CheckingServer, socket: ServerSocket, req: IncomingMessage): ServerResponse {
  const { rejectNonStandardBodyWrites } = server
  const highWaterMark = socket.writableHighWaterMark
  const res = new (responseClassOf(server))(req, { highWaterMark, rejectNonStandardBodyWrites })
  announceClosing(res)
  res.assignSocket(socket)
  res.on('finish', onResponseFinish)
  return res
}

/** The server does this for its own connections. */
function onSocketDrain(this: ServerSocket): void {
  const res = currentResponse(this)
  if (res?.writableNeedDrain) tellDrained(res)
}

function onResponseFinish(this: ServerResponse): void {
  if (this.socket !== null) closeConnection(this.socket)
}

function ignore(): void {}
