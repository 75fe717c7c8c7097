import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { declineUpgrades } from './attach/declined-upgrades.js'
import { endOnError } from './attach/end-on-error.js'
import { hasExpectTaker, takeUpgrades, type UpgradeListener } from './attach/other-listeners.js'
import type { Upgrade } from './attach/recipients.js'
import { runUpgrade } from './attach/upgrade.js'
import { continueOnRead } from './body/expect-continue.js'
import { ATTACHED } from './node/keys.js'
import { withEntry, wrongOption } from './shared/error-page.js'
import { callback } from './shared/option-checks.js'
import {
  isRequest,
  type NamesElsewhere,
  type OptionChecks,
  readOptions,
  rejectFurther,
  show,
} from './shared/options.js'

/** The options of `attach`, all of them optional. */
export interface AttachOptions {
  /**
   * Returns true for the upgrades of the app, if another 'upgrade' listener of the server (`ws`, socket.io, …) would
   * take the same ones. True: only the app gets the upgrade, and if no handler takes it, the client gets the app's own
   * 404. False: only the other listeners get it; without another listener, the app gets it as a plain request. An
   * exception, or a promise, is an error: the client gets the app's page for it, a 500.
   * @default the app comes first, and the other listeners get the rest
   */
  readonly upgrade?: { isOwn(req: IncomingMessage): boolean }['isOwn'] | undefined
}

type IsOwn = AttachOptions['upgrade']

interface Attached {
  readonly app: RequestListener
  readonly isOwn: IsOwn
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
 * If the server has another 'upgrade' listener, such as that of `ws` or socket.io, it gets the upgrades that pass the
 * last handler of the app. If the app answers all of them, the option `upgrade` says which are its own.
 *
 * The server's 'request' listener is left alone; `createServer(app)` or `app.listen()` adds it. Attaching the same
 * app again does nothing, and returns the same function.
 *
 * @example const server = app.listen(3000); attach(server, app)
 * @returns a function that detaches the app; tunnels that are already open stay open.
 * @throws TypeError if an argument is of the wrong kind, Error if the server already has another app or `upgrade`.
 * @see docs/attach.md, RFC 9110 §7.8 and §10.1.1
 */
export function attach(
  server: Server | SecureServer | Http2SecureServer,
  app: RequestListener,
  options?: AttachOptions,
  ...further: undefined[]
): () => void {
  requireKinds(server, app)
  rejectFurther('attach', further, 'attach(server, app, options)')
  const { upgrade } = readOptions('attach', options, checks, { elsewhere: namesElsewhere })
  const present = attachedTo(server)
  if (present === undefined) return wire(server as Server, app, upgrade)
  if (present.app !== app) throw taken('another app; detach that one first')
  if (upgrade !== undefined && upgrade !== present.isOwn) {
    throw taken('this app with another option "upgrade"; detach it first')
  }
  return present.detach
}

function taken(by: string): Error {
  return new Error(withEntry(`attach: the server already has ${by}`, 'a-wrong-option'))
}

const checks: OptionChecks<Required<AttachOptions>> = { upgrade: callback() }

const IN_THE_APP = 'upgrades run through the app: its routes and middlewares decide, before passthroughProxy'

/** Options of ws and socket.io. */
const namesElsewhere: NamesElsewhere = {
  path: IN_THE_APP,
  verifyClient: IN_THE_APP,
  allowRequest: IN_THE_APP,
  handleProtocols: IN_THE_APP,
}

function requireKinds(server: unknown, app: unknown): void {
  if (isRequest(server)) {
    throw wrongOption(
      'attach: got a request instead of a server; attach is not a middleware: call attach(server, app) once',
    )
  }
  if (!isServer(server)) {
    const given =
      typeof server === 'function'
        ? 'a function; the application comes second: attach(server, app)'
        : show(server)
    throw wrongOption(
      `attach: server must be an http.Server or https.Server, such as app.listen() returns, got ${given}`,
    )
  }
  if (typeof app !== 'function') {
    const given = app === undefined ? 'undefined: write attach(server, app)' : show(app)
    throw wrongOption(`attach: app must be an Express application or a (req, res) function, got ${given}`)
  }
}

/** Recognizes a server by two of its members: an Express application has `on` too. */
function isServer(given: unknown): boolean {
  const { on, listening } = (given ?? {}) as Partial<Server>
  return typeof on === 'function' && typeof listening === 'boolean'
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
 *                    ├─ answers, or throws ────────▶ the connection closes
 *                    └─ passes it on ──────────────▶ the other 'upgrade' listeners         attach/recipients.ts
 */
function wire(server: Server, app: RequestListener, isOwn: IsOwn): () => void {
  const begun = new WeakSet<IncomingMessage>()
  let isDetached = false
  const begin: UpgradeListener = (req, socket, head) => {
    begun.add(req)
    endOnError(socket, () => runUpgrade(wiring, { req, socket, head, url: req.url } as Upgrade), req)
  }
  // sockjs, faye and primus replace the listeners of the server by one of their own, which calls the earlier ones.
  const onUpgrade: UpgradeListener = (req, socket, head) => {
    if (!isDetached && !begun.has(req)) begin(req, socket, head)
  }
  const wiring = { server, app, isOwn, listener: onUpgrade }
  const listeners = { ...sharedListeners, upgrade: onUpgrade }
  for (const [event, listener] of Object.entries(listeners)) server.on(event, listener)
  const giveBack = takeUpgrades(server, begin)
  const detach = (): void => {
    isDetached = true
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

/** Runs after Node's own listener, which has created the parser. */
function onConnection(this: Server, socket: Socket): void {
  endOnError(socket, () => declineUpgrades(this, socket, isAttached))
}

function isAttached(server: object): boolean {
  return attachedTo(server) !== undefined
}

/**
 * Replaces Node's handling: with a 'checkContinue' listener Node sends no `100 Continue` and emits no 'request'.
 * Another listener that can answer does so alone: otherwise the app would get its requests too, even those that it
 * refuses.
 */
function onCheckContinue(this: Server, req: IncomingMessage, res: ServerResponse): void {
  if (hasExpectTaker(this, onCheckContinue)) return
  endOnError(
    req.socket,
    () => {
      continueOnRead(req, res)
      this.emit('request', req, res)
    },
    req,
  )
}
