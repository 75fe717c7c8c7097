import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { declineUpgrades } from './attach/declined-upgrades.js'
import { runUpgrade } from './attach/upgrade.js'
import { ATTACHED } from './node/keys.js'
import { continueOnRead } from './body/expect-continue.js'
import { exceptionContained } from './shared/channels.js'

interface Attached {
  readonly app: RequestListener
  readonly detach: () => void
}

/**
 * Wires `server` to `app` for what no middleware can reach: `Upgrade` requests, and `Expect: 100-continue`.
 *
 * An upgrade runs through the app like any request, with a real response: authentication may refuse it,
 * `passthroughProxy` may tunnel it, and where nobody takes it the client gets the app's own answer.
 * `100 Continue` is sent when somebody first reads the body, so a request that is refused is never invited to send it.
 *
 * Attaching the same app again does nothing. The server's 'request' listener is not touched: that is
 * `createServer(app)` or `app.listen()`.
 *
 * NOTE: another library's 'upgrade' listener on the same server would answer the same requests.
 *
 * @example const server = app.listen(3000); attach(server, app)
 * @returns a function that undoes it; connections that are already tunnelled live on.
 * @throws TypeError where `server` or `app` is something else, Error where the server has another app.
 * @see docs/attach.md
 */
export function attach(server: Server | SecureServer, app: RequestListener): () => void {
  requireKinds(server, app)
  const present = attachedTo(server)
  if (present !== undefined) {
    if (present.app === app) return present.detach
    throw new Error('attach: the server already has another app; detach that one first')
  }
  return wire(server, app)
}

function requireKinds(server: unknown, app: unknown): void {
  if (typeof (server as Server | undefined)?.on !== 'function') {
    throw new TypeError('attach: server must be a http.Server or https.Server')
  }
  if (typeof app !== 'function') {
    throw new TypeError('attach: app must be an Express application or a (req, res) function')
  }
}

function attachedTo(server: object): Attached | undefined {
  return (server as { [ATTACHED]?: Attached })[ATTACHED]
}

function wire(server: Server | SecureServer, app: RequestListener): () => void {
  const onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    endOnError(socket, req, () => runUpgrade(server, app, { req, socket, head }))
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

/** Comes after Node's own listener, which has begun to parse. */
function onConnection(this: Server | SecureServer, socket: Socket): void {
  endOnError(socket, undefined, () => declineUpgrades(this, socket, isAttached))
}

function isAttached(server: object): boolean {
  return attachedTo(server) !== undefined
}

/** With this listener Node sends no `100 Continue`, and no 'request' event either. */
function onCheckContinue(this: Server | SecureServer, req: IncomingMessage, res: ServerResponse): void {
  endOnError(req.socket, req, () => {
    continueOnRead(req, res)
    this.emit('request', req, res)
  })
}

/** Node calls these listeners itself: an exception would end the process, and not the one connection that it is about. */
function endOnError(socket: Duplex, req: IncomingMessage | undefined, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (exceptionContained.isObserved) exceptionContained.tell({ req, error })
    socket.destroy()
  }
}
