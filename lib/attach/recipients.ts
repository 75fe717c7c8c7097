import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { serveAsPlain } from '../node/connection/parser.js'
import { offerUpgrade, withdrawUpgrade } from '../node/connection/pending-upgrade.js'
import { letWrite } from '../node/express.js'
import type { CheckingServer, ParsedRequest, ServerSocket } from '../node/internals.js'
import { closeWithGivenConnection } from '../node/response/close.js'
import { isHeadWritten } from '../node/response/send-head.js'
import { timers } from '../node/timers.js'
import { exceptionContained } from '../shared/channels.js'
import { atOnce } from '../shared/promises.js'
import { releaseEarlyBytes } from './early-bytes.js'
import { endOnError } from './end-on-error.js'
import { otherTakers, tellTakers, type UpgradeListener } from './other-listeners.js'
import { responseOn } from './response.js'
import { tellDecision } from './tell-decision.js'
import { answerUnhandled } from './unhandled.js'

/** The arguments of an 'upgrade' event. */
export interface Upgrade {
  readonly req: ParsedRequest
  readonly socket: ServerSocket
  readonly head: Buffer
  /** The `req.url` that Node has set: the app may change it. */
  readonly url: string
}

/** A server, and the functions that can answer its upgrades. */
export interface Wiring {
  readonly server: CheckingServer
  readonly app: RequestListener
  /** The option `upgrade`. */
  readonly isOwn: ((req: IncomingMessage) => boolean) | undefined
  /** Our own 'upgrade' listener. */
  readonly listener: UpgradeListener
}

/** The time until an upgrade that all listeners ignore gets a 404: as long as Node keeps an idle connection open. */
const PATIENCE_MS = 5000

/**
 * Sends an upgrade to the app first, and to the other listeners if the app passes it on, unless the option decides:
 *
 *     app ─┬─ its own answer
 *          ├─ next() ──────┬─ another listener answers
 *          │               └─ all of them ignore it ─▶ the app's 404
 *          └─ next(error) ─▶ the app's page for the error, as for an error of the option
 */
export function route(wiring: Wiring, upgrade: Upgrade): void {
  const others = otherTakers(wiring.server, wiring.listener)
  const recipient = recipientOf(wiring, upgrade)
  if (recipient === 'app first') void runApp(wiring, upgrade, others)
  else if (recipient === 'app') void runApp(wiring, upgrade, [])
  else if (recipient === 'answered') return
  else if (others.length > 0) passToOthers(wiring, upgrade, others)
  else {
    // The app does not want it, and no other listener can take it: it is a plain request, as without `attach`.
    const { upgrade: header } = upgrade.req.headers
    serveAsPlain(upgrade.req)
    tellDecision(upgrade.req, 'plain', header)
    void runApp(wiring, upgrade, [])
  }
}

/**
 * Asks the option. If it fails, the owner of the upgrade is unknown, and the client gets the app's page for the
 * error.
 */
function recipientOf({ isOwn, app, server }: Wiring, { req, socket }: Upgrade): Recipient {
  if (isOwn === undefined) return 'app first'
  try {
    return atOnce(isOwn(req), OPTION) ? 'app' : 'others'
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
    answerUnhandled(app, responseOn(server, socket, req), error)
    return 'answered'
  }
}

type Recipient = 'app first' | 'app' | 'others' | 'answered'

const OPTION = { owner: 'attach', key: 'upgrade' }

/** Runs the app. An exception or a rejection ends this connection, as it would otherwise end the process. */
async function runApp(wiring: Wiring, upgrade: Upgrade, others: readonly UpgradeListener[]): Promise<void> {
  const { req, socket } = upgrade
  const res = responseOn(wiring.server, socket, req)
  try {
    if (req.upgrade) {
      tellDecision(req, 'offered')
      offerUpgrade(res, socket)
    }
    await callApp(
      wiring.app,
      res,
      others.length > 0 ? afterHandlers(wiring, upgrade, others, res) : undefined,
    )
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
    // A response without a socket has been passed on: the connection belongs to another listener.
    if (res.socket !== null) socket.destroy()
  }
}

/** Calls the app. If it gets a third argument, an Express application calls that instead of its own 404. */
function callApp(app: RequestListener, res: ServerResponse, done: Next | undefined): unknown {
  return (app as (...args: unknown[]) => unknown)(res.req, res, done)
}

type Next = (error?: unknown) => void

/** Returns the function that runs after the last handler of the app, if the server has other listeners. */
function afterHandlers(
  wiring: Wiring,
  upgrade: Upgrade,
  others: readonly UpgradeListener[],
  res: ServerResponse,
): Next {
  return (error) => {
    endOnError(
      upgrade.socket,
      () => {
        if (error) answerUnhandled(wiring.app, res, error)
        else if (!isHeadWritten(res)) passToOthers(wiring, upgrade, others, res)
      },
      upgrade.req,
    )
  }
}

/** Hands an upgrade to the other listeners as Node would have done, unless a handler has taken it over. */
function passToOthers(
  wiring: Wiring,
  upgrade: Upgrade,
  others: readonly UpgradeListener[],
  res?: ServerResponse,
): void {
  const { req, socket } = upgrade
  const head = releaseEarlyBytes(socket)
  if (head === undefined) return
  if (res !== undefined) takeBack(res, upgrade)
  tellDecision(req, 'left')
  if (!socket.writable) return void socket.destroy()
  answerIfIgnored(wiring, upgrade, () => tellTakers(others, wiring.server, [req, socket, head]))
}

/** Calls the listeners by `tell`, and answers if all of them still ignore the upgrade after `PATIENCE_MS`. */
function answerIfIgnored({ server, app }: Wiring, { req, socket }: Upgrade, tell: () => () => boolean): void {
  // This comes first, because a later listener would look like one of theirs.
  socket.once('close', stopWaiting)
  const isIgnored = tell()
  if (!isIgnored()) return
  const answer = (): void => answerUnhandled(app, responseOn(server, socket, req))
  const end = (): void => {
    waits.delete(socket)
    if (isIgnored()) endOnError(socket, answer, req)
  }
  waits.set(socket, timers.setTimeout(end, PATIENCE_MS).unref())
}

/** The upgrades that all listeners have ignored so far. A connection that one has taken does not hold its upgrade. */
const waits = new WeakMap<Duplex, NodeJS.Timeout>()

function stopWaiting(this: Duplex): void {
  timers.clearTimeout(waits.get(this))
}

/**
 * Takes the connection from the app's response, which still closes with it, and gives the request back as other
 * listeners know it. It stays a request of Express, because handlers may go on to use it.
 */
function takeBack(res: ServerResponse, { req, socket, url }: Upgrade): void {
  withdrawUpgrade(req)
  req.url = url
  letWrite(req)
  res.detachSocket(socket)
  closeWithGivenConnection(res)
}
