import type { Duplex } from 'node:stream'
import { isReset } from '../node/connection/connection.js'
import { EARLY_BYTES } from '../node/keys.js'
import { forgetFlow, takeBackEnd } from '../node/streams/state.js'

type HoldingSocket = Duplex & { [EARLY_BYTES]?: EarlyBytes | undefined }

interface EarlyBytes {
  readonly chunks: Buffer[]
  length: number
}

/**
 * Reads a connection until a handler takes it over, and then gives the bytes back, beginning with `head`, the bytes
 * that came with the upgrade. A connection that nothing reads does not report that its client has cut it.
 *
 * A client that ends its half still reads. The end is held back behind the bytes, so that the handler gets it when
 * it reads.
 */
export function holdEarlyBytes(socket: HoldingSocket, head: Buffer): void {
  socket[EARLY_BYTES] = { chunks: [head], length: head.length }
  socket.on('data', hold).on('end', holdEnd).on('newListener', leaveToReader)
}

function hold(this: HoldingSocket, chunk: Buffer): void {
  const held = this[EARLY_BYTES]!
  held.chunks.push(chunk)
  held.length += chunk.length
  if (held.length > this.readableHighWaterMark) this.pause()
}

function holdEnd(this: Duplex): void {
  if (isReset(this)) this.destroy()
  else takeBackEnd(this)
}

/** Stops reading when a reader is added, which has to handle the end of the connection itself. */
function leaveToReader(this: HoldingSocket, event: string | symbol): void {
  if (event !== 'data' && event !== 'readable') return
  this.unshift(releaseEarlyBytes(this)!)
}

/** Tells whether a connection still waits for a handler that takes it over. */
export function awaitsHandler(socket: HoldingSocket): boolean {
  return socket[EARLY_BYTES] !== undefined
}

/**
 * Returns the bytes, and leaves the connection unread, as Node has handed it over. Returns undefined if a handler has
 * taken the connection over.
 */
export function releaseEarlyBytes(socket: HoldingSocket): Buffer | undefined {
  const held = socket[EARLY_BYTES]
  if (held === undefined) return undefined
  socket.off('newListener', leaveToReader).off('end', holdEnd).off('data', hold)
  socket[EARLY_BYTES] = undefined
  forgetFlow(socket)
  return Buffer.concat(held.chunks)
}
