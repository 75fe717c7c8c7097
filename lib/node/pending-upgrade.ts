import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { UPGRADE } from './keys.js'
import { wrapMethod } from './response-methods.js'
import { sendHead } from './send-head.js'

/** An `Upgrade` request that `attach` sent through the app: the handler that answers 101 takes the connection over. */
export interface PendingUpgrade {
  readonly socket: Duplex
  /** Bytes the client sent right behind its request head. */
  readonly head: Buffer
  /** Called in place of the end of the response, once its 101 is out. */
  proceed?: (() => void) | undefined
}

interface WithUpgrade {
  [UPGRADE]?: PendingUpgrade | undefined
}

/** The connection that may be taken over for `req`, where `attach` has handed it in. */
export function pendingUpgrade(req: IncomingMessage): PendingUpgrade | undefined {
  return (req as WithUpgrade)[UPGRADE]
}

/** Hands the connection of a response to whichever middleware takes the upgrade. */
export function offerUpgrade(res: ServerResponse, socket: Duplex, head: Buffer): void {
  const upgrade: PendingUpgrade = { socket, head }
  ;(res.req as WithUpgrade)[UPGRADE] = upgrade
  wrapMethod(res, 'end', (_, end, args) => {
    const { proceed } = upgrade
    if (proceed === undefined) return end.apply(res, args)
    upgrade.proceed = undefined
    sendHead(res)
    proceed()
    return res
  })
}

/** Takes the connection back: no middleware will have it. */
export function withdrawUpgrade(req: IncomingMessage): void {
  ;(req as WithUpgrade)[UPGRADE] = undefined
}

/**
 * Sends the head of a 101 by `res.end()`, where middlewares act that have to do with the end of a response: express-session
 * saves and touches its session there, and lets the head out afterwards. The response itself stays open, as its
 * connection does, and `proceed` is called.
 */
export function endHead(res: ServerResponse, upgrade: PendingUpgrade, proceed: () => void): void {
  upgrade.proceed = proceed
  res.end()
}
