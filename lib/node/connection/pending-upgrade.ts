import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { UPGRADE } from '../keys.js'
import { wrapMethod } from '../response/methods.js'
import { sendHead } from '../response/send-head.js'
import { holdWeakly } from '../response/upgraded.js'

/**
 * An `Upgrade` request that `attach` sent through the app: the handler that answers 101 takes the connection over.
 */
export interface PendingUpgrade {
  /** Its first reader also gets the bytes that the client sent right after its request head. */
  readonly socket: Duplex
  /** Runs once the 101 has been sent, instead of the end of the response. */
  proceed?: (() => void) | undefined
}

interface WithUpgrade {
  [UPGRADE]?: PendingUpgrade | undefined
}

/** Returns the connection that may be taken over for `req`; undefined if `attach` has not offered one. */
export function pendingUpgrade(req: IncomingMessage): PendingUpgrade | undefined {
  return (req as WithUpgrade)[UPGRADE]
}

/** Offers the connection of a response to the handler that takes the upgrade. */
export function offerUpgrade(res: ServerResponse, socket: Duplex): void {
  const upgrade: PendingUpgrade = { socket }
  ;(res.req as WithUpgrade)[UPGRADE] = upgrade
  wrapMethod(res, 'end', (_, end, args) => {
    const { proceed } = upgrade
    if (proceed === undefined) return end.apply(res, args)
    upgrade.proceed = undefined
    sendHead(res)
    proceed()
    holdWeakly(res)
    return res
  })
}

/** Takes the offer back. */
export function withdrawUpgrade(req: IncomingMessage): void {
  ;(req as WithUpgrade)[UPGRADE] = undefined
}

/**
 * Sends the head of a 101 by `res.end()`, because middlewares act there: express-session first saves or touches the
 * session. The response itself stays open, as its connection does, and `proceed` runs instead of its end.
 */
export function endHead(res: ServerResponse, upgrade: PendingUpgrade, proceed: () => void): void {
  upgrade.proceed = proceed
  res.end()
}
