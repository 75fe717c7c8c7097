import type { Duplex } from 'node:stream'

import { EARLY_BYTES } from '../node/keys.js'
import { forgetFlow } from '../node/stream-state.js'

type HoldingSocket = Duplex & { [EARLY_BYTES]?: EarlyBytes | undefined }

interface EarlyBytes {
  readonly chunks: Buffer[]
  length: number
}

/**
 * Holds `head`, the bytes that came with the upgrade, and reads a connection until somebody takes it over, and gives the bytes back then: a socket that nobody reads never tells
 * of its end. A client that ends its side before has left, as with any request; so `res` emits 'close'.
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
  this.off('newListener', leaveToReader).off('end', endToo).off('data', hold)
  const { chunks } = this[EARLY_BYTES]!
  this[EARLY_BYTES] = undefined
  forgetFlow(this)
  if (chunks.length > 0) this.unshift(Buffer.concat(chunks))
}
