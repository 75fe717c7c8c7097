import type { EventEmitter } from 'node:events'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'

import { isPlain, runUpgrade } from './attach/upgrade.js'
import { continueOnRead } from './shared/expect-continue.js'

// One mark for both copies of this package (ESM and CJS): a server takes one app.
const kAttached: unique symbol = Symbol.for('sluiceway.attached') as never

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
  return (server as { [kAttached]?: Attached })[kAttached]
}

function wire(server: Server | SecureServer, app: RequestListener): () => void {
  const onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    runUpgrade(server, app, { req, socket, head })
  }
  const upgradeAgain = declinePlainUpgrades(server)
  const detach = (): void => {
    upgradeAgain()
    server.off('upgrade', onUpgrade)
    server.off('checkContinue', onCheckContinue)
    delete (server as { [kAttached]?: Attached })[kAttached]
  }
  server.on('upgrade', onUpgrade)
  server.on('checkContinue', onCheckContinue)
  Object.assign(server, { [kAttached]: { app, detach } satisfies Attached })
  return detach
}

interface AskingServer extends EventEmitter {
  shouldUpgradeCallback?: (this: unknown, req: IncomingMessage) => boolean
}

/**
 * Node 24.9 and later ask whether to take a request out of HTTP; without the question `runUpgrade` gives it back.
 * Returns a function that undoes it.
 */
function declinePlainUpgrades(server: AskingServer): () => void {
  const { shouldUpgradeCallback: ask } = server
  if (ask === undefined) return () => {}
  /* c8 ignore start -- coverage is measured on Node 20 */
  server.shouldUpgradeCallback = function (req) {
    return ask.call(this, req) && !isPlain(req)
  }
  return () => {
    server.shouldUpgradeCallback = ask
  }
}
/* c8 ignore stop */

/** With this listener Node sends no `100 Continue`, and no 'request' event either. */
function onCheckContinue(this: Server | SecureServer, req: IncomingMessage, res: ServerResponse): void {
  continueOnRead(req, res)
  this.emit('request', req, res)
}
