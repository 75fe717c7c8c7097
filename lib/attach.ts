import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'

import { declineUpgrades } from './attach/declined-upgrades.js'
import { endOnError } from './attach/end-on-error.js'
import { takeUpgrades, type UpgradeListener } from './attach/other-listeners.js'
import type { Upgrade } from './attach/recipients.js'
import { runUpgrade } from './attach/upgrade.js'
import { ATTACHED } from './node/keys.js'
import { continueOnRead } from './body/expect-continue.js'
import { callback, readOptions } from './shared/options.js'

/** What `attach` takes. */
export interface AttachOptions {
  /**
   * Tells which upgrades are the app's, for servers with another 'upgrade' listener (`ws`, socket.io, …) that would take
   * the same ones. True: the app alone gets it, and where no handler takes it, the client gets the app's own 404. False:
   * the other listeners get it, and the app does not; without another listener it is a plain request of the app's.
   * What it throws ends the connection.
   * @default each goes to the app first, and what that does not take to the other listeners
   */
  readonly upgrade?: ((req: IncomingMessage) => boolean) | undefined
}

type IsOwn = AttachOptions['upgrade']

interface Attached {
  readonly app: RequestListener
  readonly isOwn: IsOwn
  readonly detach: () => void
}

/**
 * Wires `server` to `app` for what no middleware can reach: `Upgrade` requests, and `Expect: 100-continue`.
 *
 * An upgrade runs through the app like any request, with a real response: authentication may refuse it,
 * `passthroughProxy` may tunnel it, and where nobody takes it the client gets the app's own answer.
 * `100 Continue` is sent when somebody first reads the body, so a request that is refused is never invited to send it.
 *
 * Another 'upgrade' listener of the server, such as that of `ws` or socket.io, gets the upgrades that the app passes on
 * behind its last handler. Where the app answers all of them, the option `upgrade` tells which are its own.
 *
 * Attaching the same app again does nothing. The server's 'request' listener is not touched: that is
 * `createServer(app)` or `app.listen()`.
 *
 * @example const server = app.listen(3000); attach(server, app)
 * @returns a function that undoes it; connections that are already tunnelled live on.
 * @throws TypeError where an argument is something else, Error where the server has another app or another `upgrade`.
 * @see docs/attach.md
 */
export function attach(
  server: Server | SecureServer,
  app: RequestListener,
  options?: AttachOptions,
): () => void {
  requireKinds(server, app)
  const { upgrade } = readOptions<Required<AttachOptions>>('attach', options, { upgrade: callback() })
  const present = attachedTo(server)
  if (present === undefined) return wire(server, app, upgrade)
  if (present.app !== app) {
    throw new Error('attach: the server already has another app; detach that one first')
  }
  if (upgrade !== undefined && upgrade !== present.isOwn) {
    throw new Error('attach: the server already has this app with another option "upgrade"; detach it first')
  }
  return present.detach
}

function requireKinds(server: unknown, app: unknown): void {
  if (!isServer(server)) {
    throw new TypeError('attach: server must be an http.Server or https.Server, such as app.listen() returns')
  }
  if (typeof app !== 'function') {
    throw new TypeError('attach: app must be an Express application or a (req, res) function')
  }
}

/** An Express application has `on` too. */
function isServer(given: unknown): boolean {
  const { on, listening } = (given ?? {}) as Partial<Server>
  return typeof on === 'function' && typeof listening === 'boolean'
}

function attachedTo(server: object): Attached | undefined {
  return (server as { [ATTACHED]?: Attached })[ATTACHED]
}

function wire(server: Server | SecureServer, app: RequestListener, isOwn: IsOwn): () => void {
  const onUpgrade: UpgradeListener = (req, socket, head) => {
    endOnError(socket, () => runUpgrade(wiring, { req, socket, head } as Upgrade))
  }
  const wiring = { server, app, isOwn, listener: onUpgrade }
  const listeners = { ...sharedListeners, upgrade: onUpgrade }
  for (const [event, listener] of Object.entries(listeners)) server.on(event, listener)
  const giveBack = takeUpgrades(server, onUpgrade)
  const detach = (): void => {
    giveBack()
    for (const [event, listener] of Object.entries(listeners)) server.off(event, listener)
    delete (server as { [ATTACHED]?: Attached })[ATTACHED]
  }
  Object.assign(server, { [ATTACHED]: { app, isOwn, detach } satisfies Attached })
  return detach
}

const sharedListeners = {
  connection: onConnection,
  secureConnection: onConnection,
  checkContinue: onCheckContinue,
}

/** Comes after Node's own listener, which has begun to parse. */
function onConnection(this: Server | SecureServer, socket: Socket): void {
  endOnError(socket, () => declineUpgrades(this, socket, isAttached))
}

function isAttached(server: object): boolean {
  return attachedTo(server) !== undefined
}

/** With this listener Node sends no `100 Continue`, and no 'request' event either. */
function onCheckContinue(this: Server | SecureServer, req: IncomingMessage, res: ServerResponse): void {
  endOnError(req.socket, () => {
    continueOnRead(req, res)
    this.emit('request', req, res)
  })
}
