import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import type { PendingUpgrade } from '../node/pending-upgrade.js'

/**
 * Joins the client's and the upstream's connection. Either side may end its half and still hear the other;
 * a side that breaks takes the other with it.
 */
export function tunnel({ socket: client, head }: PendingUpgrade, upstream: Duplex): void {
  for (const side of [client, upstream]) prepare(side)
  watch(client, upstream)
  watch(upstream, client)
  if (head.length > 0) upstream.write(head)
  client.pipe(upstream)
  upstream.pipe(client)
}

function prepare(side: Duplex): void {
  const { setTimeout, setNoDelay, setKeepAlive } = side as Partial<Socket>
  setTimeout?.call(side, 0)
  setNoDelay?.call(side, true)
  setKeepAlive?.call(side, true, 60_000)
  // Without it Node would answer the end of one half by ending the other.
  side.allowHalfOpen = true
}

function watch(side: Duplex, other: Duplex): void {
  side.on('error', () => other.destroy())
  side.on('close', () => {
    // After a whole end `pipe` has ended the other side, which may still be writing.
    if (!side.readableEnded) other.destroy()
  })
  if (side.destroyed) other.destroy()
}
