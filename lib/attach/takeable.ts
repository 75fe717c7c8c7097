import type { IncomingMessage } from 'node:http'
import { currentResponse } from '../node/connection/connection.js'
import type { CheckingServer, ServerSocket } from '../node/internals.js'
import { announcedLength, hasCutHead, mayHaveBody, takesChunks } from '../node/request/facts.js'

/**
 * Tells whether a request may become an upgrade. Node checks nothing in a request that it hands over, so this
 * declines every message that Node would refuse or answer in steps.
 */
export function isTakeable(server: CheckingServer, req: IncomingMessage): boolean {
  const { host, expect, upgrade } = req.headers
  if (!takesChunks(req) || hasBody(req) || expect !== undefined || isH2c(upgrade!)) return false
  return host !== undefined || server.requireHostHeader === false
}

/** Recognizes h2c: its tunnel would bypass every rule of the app (golang/go#80416). */
function isH2c(upgrade: string): boolean {
  return /(?:^|,)\s*h2c\s*(?:,|$)/i.test(upgrade)
}

function hasBody(req: IncomingMessage): boolean {
  return hasCutHead(req) || (mayHaveBody(req) && announcedLength(req) !== 0)
}

/**
 * Tells whether a connection is free for an upgrade, or will be free after one response. A client may have read a
 * whole response before the server has ended it: before `res.end()` if Content-Length is reached, before 'finish'
 * over TLS.
 * @param queued the last request that had to wait for another one
 */
export function isTurnOf(socket: ServerSocket, queued?: IncomingMessage): boolean {
  const current = currentResponse(socket)
  if (!socket.writable || current === undefined) return socket.writable
  return queued === undefined || current.req === queued
}
