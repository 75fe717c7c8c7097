import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Duplex, finished } from 'node:stream'
import { endHead, type PendingUpgrade } from '../node/connection/pending-upgrade.js'
import { resetConnection } from '../node/response/cut.js'
import { keepHalfOpen } from '../node/streams/state.js'
import { timers } from '../node/timers.js'
import type { TunnelEnds } from './progress.js'

/** The time that a connection may take to end once its other side is gone. */
const LINGER_MS = 2000

/**
 * The error of a write to a side that has ended its half and closed. It resets the connection too, but has sent all of
 * its bytes before, and a cut of the other side would discard those that have not arrived there.
 */
const CLOSED_BEFORE = 'EPIPE'

/** Receives the events of a tunnel. */
export interface TunnelOwner {
  /** Called once both connections are joined. The `early` bytes of the upstream have been written. */
  onJoined(ends: TunnelEnds, early: Buffer): void
  /** Called with the exception that has kept them from being joined. */
  breakOff(error: unknown): void
}

/** Joins both connections once the client's 101 has been sent. A middleware may delay it until a session is saved. */
export function tunnelAfterHead(
  res: ServerResponse,
  pending: PendingUpgrade,
  upstream: Duplex,
  early: Buffer,
  owner: TunnelOwner,
): void {
  const { socket: client } = pending
  const leave = (): void => void upstream.destroy()
  client.once('close', leave)
  upstream.on('error', ignore)
  endHead(res, pending, () => {
    client.off('close', leave)
    // The client has left in the meantime, which has ended the exchange.
    if (client.destroyed) return leave()
    try {
      if (early.length > 0) client.write(early)
      join(client, upstream)
      owner.onJoined({ client, upstream }, early)
    } catch (error) {
      upstream.destroy()
      owner.breakOff(error)
    }
  })
}

/**
 * Joins the connections of the client and the upstream. Either side may end its half and go on reading the other;
 * a side that breaks off ends both, and a reset reaches the other one as a reset.
 */
function join(client: Duplex, upstream: Duplex): void {
  for (const side of [client, upstream]) keepOpen(side)
  detectDeadHost(client)
  watch(client, upstream)
  watch(upstream, client)
  client.pipe(upstream)
  upstream.pipe(client)
}

/** Lets a side stay open while it is silent, and after one of its halves has ended. */
function keepOpen(side: Duplex): void {
  ;(side as Partial<Socket>).setTimeout?.(0)
  keepHalfOpen(side)
}

/**
 * Makes the connection of a client notice that its host is gone. The other side keeps the options that the caller, or a
 * dispatcher, has given it.
 */
function detectDeadHost(client: Duplex): void {
  const { setNoDelay, setKeepAlive } = client as Partial<Socket>
  setNoDelay?.call(client, true)
  setKeepAlive?.call(client, true, 60_000)
}

function watch(side: Duplex, other: Duplex): void {
  side.on('error', (error: NodeJS.ErrnoException) => {
    // The bytes before an end are still for the other side; `pipe` has ended it after them.
    if (side.readableEnded) return
    if (error.code === CLOSED_BEFORE) other.end()
    else resetConnection(other)
  })
  side.on('close', () => {
    // A side that was ended may still be writing.
    if (other.writableEnded) endAlone(other)
    else other.destroy()
  })
  if (side.errored) resetConnection(other)
  else if (side.destroyed) other.destroy()
}

/** Discards the bytes for the side that is gone, and limits the wait for the end, as nothing else would end this side. */
function endAlone(side: Duplex): void {
  side.resume()
  finished(side, { readable: false }, () => destroyLater(side))
}

function destroyLater(side: Duplex): void {
  if (side.destroyed) return
  const timer = timers.setTimeout(() => side.destroy(), LINGER_MS)
  side.once('close', () => timers.clearTimeout(timer))
}

function ignore(): void {}
