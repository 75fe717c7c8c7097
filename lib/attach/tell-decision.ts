import type { IncomingMessage } from 'node:http'
import { upgradeDecided } from '../shared/channels.js'
import type { UpgradeDecided } from '../shared/messages.js'

/**
 * Publishes the decision about an upgrade. `upgrade` is its header, which is removed from a request that is served
 * as plain.
 */
export function tellDecision(
  req: IncomingMessage,
  outcome: UpgradeDecided['outcome'],
  upgrade: string = req.headers.upgrade ?? '',
): void {
  if (upgradeDecided.isObserved) upgradeDecided.tell({ req, upgrade, outcome })
}
