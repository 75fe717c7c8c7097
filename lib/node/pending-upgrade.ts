import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** An `Upgrade` request that `attach` sent through the app: whoever answers 101 takes the connection over. */
export interface PendingUpgrade {
  readonly socket: Duplex
  /** Bytes the client sent right behind its request head. */
  readonly head: Buffer
}

// Symbol.for: attach and passthroughProxy may come from different copies of this package (ESM and CJS).
const kUpgrade: unique symbol = Symbol.for('sluiceway.upgrade') as never

interface WithUpgrade {
  [kUpgrade]?: PendingUpgrade | undefined
}

/** The connection that may be taken over for `req`, where `attach` has handed it in. */
export function pendingUpgrade(req: IncomingMessage): PendingUpgrade | undefined {
  return (req as WithUpgrade)[kUpgrade]
}

/** Hands the connection of `req` to whichever middleware takes the upgrade. */
export function offerUpgrade(req: IncomingMessage, upgrade: PendingUpgrade): void {
  ;(req as WithUpgrade)[kUpgrade] = upgrade
}
