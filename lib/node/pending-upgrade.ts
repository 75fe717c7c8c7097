import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { UPGRADE } from './keys.js'

/**
 * An `Upgrade` request that `attach` sent through the app: the handler that answers 101 takes the connection over.
 */
export interface PendingUpgrade {
  readonly socket: Duplex
  /** The bytes that the client sent right after its request head. */
  readonly head: Buffer
}

interface WithUpgrade {
  [UPGRADE]?: PendingUpgrade | undefined
}

/** Returns the connection that may be taken over for `req`; undefined if `attach` has not offered one. */
export function pendingUpgrade(req: IncomingMessage): PendingUpgrade | undefined {
  return (req as WithUpgrade)[UPGRADE]
}

/** Offers the connection of `req` to the handler that takes the upgrade. */
export function offerUpgrade(req: IncomingMessage, upgrade: PendingUpgrade): void {
  ;(req as WithUpgrade)[UPGRADE] = upgrade
}
