import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { UPGRADE } from './keys.js'

/** An `Upgrade` request that `attach` sent through the app: the handler that answers 101 takes the connection over. */
export interface PendingUpgrade {
  readonly socket: Duplex
  /** Bytes the client sent right behind its request head. */
  readonly head: Buffer
}

interface WithUpgrade {
  [UPGRADE]?: PendingUpgrade | undefined
}

/** The connection that may be taken over for `req`, where `attach` has handed it in. */
export function pendingUpgrade(req: IncomingMessage): PendingUpgrade | undefined {
  return (req as WithUpgrade)[UPGRADE]
}

/** Hands the connection of `req` to whichever middleware takes the upgrade. */
export function offerUpgrade(req: IncomingMessage, upgrade: PendingUpgrade): void {
  ;(req as WithUpgrade)[UPGRADE] = upgrade
}
