import type { Duplex } from 'node:stream'

import { EARLY_BYTES } from '../node/keys.js'
import { forgetFlow } from '../node/stream-state.js'

type HoldingSocket = Duplex & { [EARLY_BYTES]?: EarlyBytes | undefined }

interface EarlyBytes {
  readonly chunks: Buffer[]
  length: number
}

/**
 * Reads a connection until a handler takes it over, and then gives the bytes back, beginning with `head`, the bytes
 * that came with the upgrade. A socket that nothing reads does not report its end. If the client ends its side first,
 * it has left, as with any request, and `res` emits 'close'.
 */
export function holdEarlyBytes(socket: HoldingSocket, head: Buffer): void {
  socket[EARLY_BYTES] = { chunks: head.length > 0 ? [head] : [], length: head.length }
  socket.on('data', hold).on('end', endToo).on('newListener', leaveToReader)
}

function hold(this: HoldingSocket, chunk: Buffer): void {
  const held = this[EARLY_BYTES]!
  held.chunks.push(chunk)
  held.length += chunk.length
  if (held.length > this.readableHighWaterMark) this.pause()
}

function endToo(this: Duplex): void {
  this.end()
}

/** Stops reading when a reader comes, which has to handle the end of the connection itself. */
function leaveToReader(this: HoldingSocket, event: string | symbol): void {
  if (event !== 'data' && event !== 'readable') return
  const early = releaseEarlyBytes(this)!
  if (early.length > 0) this.unshift(early)
}

/**
 * Returns the bytes, and leaves the connection unread, as Node has handed it over. Returns undefined if a handler has
 * taken the connection over.
 */
export function releaseEarlyBytes(socket: HoldingSocket): Buffer | undefined {
  const held = socket[EARLY_BYTES]
  if (held === undefined) return undefined
  socket.off('newListener', leaveToReader).off('end', endToo).off('data', hold)
  socket[EARLY_BYTES] = undefined
  forgetFlow(socket)
  return Buffer.concat(held.chunks)
}
