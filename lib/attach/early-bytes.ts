import type { Duplex } from 'node:stream'

import { EARLY_BYTES } from '../node/keys.js'
import { forgetFlow } from '../node/stream-state.js'

type HoldingSocket = Duplex & { [EARLY_BYTES]?: EarlyBytes | undefined }

interface EarlyBytes {
  readonly chunks: Buffer[]
  length: number
}

/**
 * Holds `head`, the bytes that came with the upgrade, and reads a connection until a handler takes it over, which then
 * gets them back: a socket that nobody reads never tells of its end. A client that ends its side before has left, as with any request; so `res` emits 'close'.
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

/** A reader has to deal with the end of the connection itself. */
function leaveToReader(this: HoldingSocket, event: string | symbol): void {
  if (event !== 'data' && event !== 'readable') return
  const early = releaseEarlyBytes(this)!
  if (early.length > 0) this.unshift(early)
}

/** Returns the bytes, and leaves the connection unread as Node had it; undefined where a handler has taken it over. */
export function releaseEarlyBytes(socket: HoldingSocket): Buffer | undefined {
  const held = socket[EARLY_BYTES]
  if (held === undefined) return undefined
  socket.off('newListener', leaveToReader).off('end', endToo).off('data', hold)
  socket[EARLY_BYTES] = undefined
  forgetFlow(socket)
  return Buffer.concat(held.chunks)
}
