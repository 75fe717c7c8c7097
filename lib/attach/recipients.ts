import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import createDebug from 'debug'

import type { CheckingServer, ParsedRequest, ServerSocket } from '../node/internals.js'
import { serveAsPlain } from '../node/parser.js'
import { offerUpgrade, withdrawUpgrade } from '../node/pending-upgrade.js'
import { closeWithConnection } from '../node/response-close.js'
import { releaseEarlyBytes } from './early-bytes.js'
import { endOnError } from './end-on-error.js'
import { takersBeside, tellTakers, type UpgradeListener } from './other-listeners.js'
import { responseOn } from './response.js'
import { answerUnhandled } from './unhandled.js'

const debug = createDebug('sluiceway:attach')

/** What came with the head is among the bytes that the connection holds for the handler that takes it over. */
const NOTHING = Buffer.alloc(0)

/** What Node hands over with an 'upgrade' event. */
export interface Upgrade {
  readonly req: ParsedRequest
  readonly socket: ServerSocket
  readonly head: Buffer
}

/** A server, with what may answer its upgrades. */
export interface Wiring {
  readonly server: CheckingServer
  readonly app: RequestListener
  /** Tells whether an upgrade is the app's, where the option says so. */
  readonly isOwn: ((req: IncomingMessage) => boolean) | undefined
  /** Ours for 'upgrade'. */
  readonly listener: UpgradeListener
}

/** How long an upgrade that all listeners ignore stays open: as long as Node keeps an idle connection by default. */
const PATIENCE_MS = 5000

/**
 * Without the option the app comes first, and what it has not taken is left to the others:
 *
 *     app -> its own answer
 *         -> next()      -> another listener answers
 *                        -> all of them ignore it -> the app's 404
 *         -> next(error) -> the app's page of the error
 */
export function route(wiring: Wiring, upgrade: Upgrade): void {
  const { isOwn } = wiring
  const others = takersBeside(wiring.server, wiring.listener)
  if (isOwn === undefined) void runApp(wiring, upgrade, others)
  else if (isOwn(upgrade.req)) void runApp(wiring, upgrade, [])
  else if (others.length > 0) leaveToOthers(wiring, upgrade, others)
  else {
    serveAsPlain(upgrade.req)
    void runApp(wiring, upgrade, [])
  }
}

/** An exception or a rejection ends this one connection: nobody but the process would hear of it. */
async function runApp(wiring: Wiring, upgrade: Upgrade, others: readonly UpgradeListener[]): Promise<void> {
  const { req, socket } = upgrade
  const res = responseOn(wiring.server, socket, req)
  try {
    if (req.upgrade) offerUpgrade(res, socket, NOTHING)
    await call(wiring.app, res, others.length > 0 ? next(wiring, upgrade, others, res) : undefined)
  } catch (error) {
    debug('%s %s: the app failed: %o', req.method, req.url, error)
    // Without the response, the connection is another listener's.
    if (res.socket !== null) socket.destroy()
  }
}

/** An application that is called with a function calls that in place of its own 404. */
function call(app: RequestListener, res: ServerResponse, done: Next | undefined): unknown {
  return (app as (...args: unknown[]) => unknown)(res.req, res, done)
}

type Next = (error?: unknown) => void

/** What stands behind the last handler of the app where the server has other listeners. */
function next(
  wiring: Wiring,
  upgrade: Upgrade,
  others: readonly UpgradeListener[],
  res: ServerResponse,
): Next {
  let isCalled = false
  return (error) => {
    if (isCalled) return
    isCalled = true
    endOnError(upgrade.socket, () => {
      if (error) answerUnhandled(wiring.app, res, error)
      else if (!res.headersSent) leaveToOthers(wiring, upgrade, others, res)
    })
  }
}

/** Leaves an upgrade to the other listeners as Node would have given it to them, unless a handler has taken it over. */
function leaveToOthers(
  wiring: Wiring,
  upgrade: Upgrade,
  others: readonly UpgradeListener[],
  res?: ServerResponse,
): void {
  const { server, app } = wiring
  const { req, socket } = upgrade
  const head = releaseEarlyBytes(socket)
  if (head === undefined) return
  if (res !== undefined) takeBack(res, socket)
  debug('%s %s: left to the other listeners of the server', req.method, req.url)
  if (!socket.writable || socket.readableEnded) return void socket.destroy()
  const isIgnored = tellTakers(others, server, [req, socket, head])
  if (!isIgnored()) return
  const answer = (): void => answerUnhandled(app, responseOn(server, socket, req))
  setTimeout(() => isIgnored() && endOnError(socket, answer), PATIENCE_MS).unref()
}

/** Takes the connection from the app's response, which closes with it nevertheless. */
function takeBack(res: ServerResponse, socket: Duplex): void {
  withdrawUpgrade(res.req)
  res.detachSocket(socket as Socket)
  closeWithConnection(res)
}
