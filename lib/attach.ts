import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import createDebug from 'debug'

import { declineUpgrades } from './attach/declined-upgrades.js'
import { runUpgrade } from './attach/upgrade.js'
import { ATTACHED } from './node/keys.js'
import { continueOnRead } from './body/expect-continue.js'
import { withEntry, wrongOption } from './shared/error-page.js'

const debug = createDebug('sluiceway:attach')

interface Attached {
  readonly app: RequestListener
  readonly detach: () => void
}

/**
 * Routes the events of `server` that no middleware can see through `app`: `Upgrade` requests and `Expect:
 * 100-continue`.
 *
 * An upgrade runs through the app like any other request, with a real response: authentication can refuse it,
 * `passthroughProxy` can tunnel it, and if no handler takes it, the client gets the app's own answer. `100 Continue`
 * is sent when the body is first read, so the client of a refused request is never asked to send it.
 *
 * The server's 'request' listener is left alone; `createServer(app)` or `app.listen()` adds it. Attaching the same
 * app again does nothing, and returns the same function.
 *
 * NOTE: an 'upgrade' listener of another library on the same server would answer the same requests.
 *
 * @example const server = app.listen(3000); attach(server, app)
 * @returns a function that detaches the app; tunnels that are already open stay open.
 * @throws TypeError if `server` or `app` is of the wrong kind, Error if the server already has another app.
 * @see docs/attach.md, RFC 9110 sections 7.8 and 10.1.1
 */
export function attach(server: Server | SecureServer, app: RequestListener): () => void {
  requireKinds(server, app)
  const present = attachedTo(server)
  if (present !== undefined) {
    if (present.app === app) return present.detach
    throw new Error(
      withEntry('attach: the server already has another app; detach that one first', 'a-wrong-option'),
    )
  }
  return wire(server, app)
}

function requireKinds(server: unknown, app: unknown): void {
  if (typeof (server as Server | undefined)?.on !== 'function') {
    throw wrongOption('attach: server must be a http.Server or https.Server')
  }
  if (typeof app !== 'function') {
    throw wrongOption('attach: app must be an Express application or a (req, res) function')
  }
}

function attachedTo(server: object): Attached | undefined {
  return (server as { [ATTACHED]?: Attached })[ATTACHED]
}

/**
 * Adds the listeners through which an upgrade goes:
 *
 *     bytes ─▶ parser ─▶ takeable, and its turn? ── no ──▶ 'request': served as plain      attach/declined-upgrades.ts
 *                            └─ yes ─▶ 'upgrade' ─▶ early bytes held, its turn awaited     attach/upgrade.ts
 *     app(req, res) ─┬─ takes the connection over ─▶ tunnel, which begins with the early bytes
 *                    └─ answers, or throws ────────▶ the connection closes
 */
function wire(server: Server | SecureServer, app: RequestListener): () => void {
  const onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    endOnError(socket, () => runUpgrade(server, app, { req, socket, head }))
  }
  const listeners = { ...sharedListeners, upgrade: onUpgrade }
  const detach = (): void => {
    for (const [event, listener] of Object.entries(listeners)) server.off(event, listener)
    delete (server as { [ATTACHED]?: Attached })[ATTACHED]
  }
  for (const [event, listener] of Object.entries(listeners)) server.on(event, listener)
  Object.assign(server, { [ATTACHED]: { app, detach } satisfies Attached })
  return detach
}

const sharedListeners = {
  connection: onConnection,
  secureConnection: onConnection,
  checkContinue: onCheckContinue,
}

/** Runs after Node's own listener, which has created the parser. */
function onConnection(this: Server | SecureServer, socket: Socket): void {
  endOnError(socket, () => declineUpgrades(this, socket, isAttached))
}

function isAttached(server: object): boolean {
  return attachedTo(server) !== undefined
}

/** Replaces Node's handling: with a 'checkContinue' listener Node sends no `100 Continue` and emits no 'request'. */
function onCheckContinue(this: Server | SecureServer, req: IncomingMessage, res: ServerResponse): void {
  endOnError(req.socket, () => {
    continueOnRead(req, res)
    this.emit('request', req, res)
  })
}

/**
 * Contains an exception: Node calls these listeners itself, so it would end the process instead of one connection.
 */
function endOnError(socket: Duplex, run: () => void): void {
  try {
    run()
  } catch (error) {
    debug('the connection is cut: %o', error)
    socket.destroy()
  }
}
