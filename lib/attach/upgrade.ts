import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import { currentResponse } from '../node/connection/connection.js'
import type { CheckingServer, ServerSocket } from '../node/internals.js'
import { tellDrained } from '../node/response/state.js'
import { closeConnection } from './close-connection.js'
import { holdEarlyBytes, awaitsHandler } from './early-bytes.js'
import { endOnError } from './end-on-error.js'
import { tellWatchers, otherWatchers } from './other-listeners.js'
import { route, type Upgrade, type Wiring } from './recipients.js'
import { isTakeable, isTurnOf } from './takeable.js'
import { tellDecision } from './tell-decision.js'

/** Sends an upgrade through the app, as a request whose connection can be taken over, or to the other listeners. */
export function runUpgrade(wiring: Wiring, upgrade: Upgrade): void {
  const { server, listener } = wiring
  const { req, socket, head } = upgrade
  // Node has removed its own listeners, and an 'error' without a listener would end the process.
  socket.on('error', ignore)
  if (tellWatchers(otherWatchers(server, listener), server, [req, socket, head])) return
  // This is false only on a connection that was open before `attach`, so that its parser is not watched.
  if (!isTakeable(server, req) || !isTurnOf(socket)) {
    tellDecision(req, 'cut')
    socket.destroy()
    return
  }
  socket.on('drain', onSocketDrain)
  socket.on('timeout', endSilence(server))
  socket.on('close', abortUnanswered)
  holdEarlyBytes(socket, head)
  waitForTurn(server, socket, () => endOnError(socket, () => route(wiring, upgrade), req))
}

/** Waits for the end of the current response: Node hands an upgrade over as soon as it is parsed. */
function waitForTurn(server: CheckingServer, socket: ServerSocket, proceed: () => void): void {
  const previous = currentResponse(socket)
  if (previous === undefined) {
    proceed()
    return
  }
  const abort = (): void => abortRequest(previous.req)
  // 'finish' comes in the async context of the previous request, whose user or trace is not that of the upgrade.
  const go = AsyncResource.bind((): void => {
    socket.off('close', abort)
    // Node has just set the timeout of an idle connection, if the stream supports timeouts.
    ;(socket as Partial<ServerSocket>).setTimeout?.(server.timeout || 0)
    if (currentResponse(socket) === undefined && socket.writable) proceed()
    else closeConnection(socket)
  })
  socket.once('close', abort)
  previous.once('finish', go)
}

/** Aborts a request as the server does if its connection closes. */
function abortRequest(req: IncomingMessage): void {
  req.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
}

/**
 * Aborts the request of an app that has not answered it: handlers clean up at `req.on('close')`. If another handler has
 * taken the connection over, the request has nothing to do with it any more.
 */
function abortUnanswered(this: ServerSocket): void {
  const res = currentResponse(this)
  if (res !== undefined && !res.writableFinished && awaitsHandler(this)) abortRequest(res.req)
}

/** Tells the current response of 'drain', as the server does on its own connections. */
function onSocketDrain(this: ServerSocket): void {
  const res = currentResponse(this)
  if (res?.writableNeedDrain) tellDrained(res)
}

/**
 * Ends the wait of an application that has set a time limit (`res.setTimeout`, `req.setTimeout`, `server.setTimeout`), as
 * the server does on its own connections. A connection that a handler has taken over has no such limit, and the listener
 * that stays on it must not hold its request.
 */
function endSilence(server: CheckingServer): (this: ServerSocket) => void {
  return function (this: ServerSocket): void {
    const res = currentResponse(this)
    if (res === undefined || !awaitsHandler(this)) return
    endOnError(
      this,
      () => {
        const isHeard = res.emit('timeout', this)
        if (!server.emit('timeout', this) && !isHeard) this.destroy()
      },
      res.req,
    )
  }
}

function ignore(): void {}
