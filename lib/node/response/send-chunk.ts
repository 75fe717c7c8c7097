import type { OutgoingResponse } from '../internals.js'
import { awaitDrain } from './state.js'

/** Tells whether Node frames the body of a response in chunks (RFC 9112 §7.1), and none of them is held back. */
export function isFramedNow(res: OutgoingResponse): boolean {
  return res.chunkedEncoding && res._hasBody && res.writableCorked === 0 && res.socket !== null
}

/**
 * Sends bytes, given as latin1 text, as one chunk, with its frame and with the head if that is due. Node's own `write`
 * hands the kernel four pieces for each chunk, which takes a fifth longer. Returns false if the buffer is full; 'drain'
 * follows.
 */
export function sendChunk(res: OutgoingResponse, text: string): boolean {
  const takesMore = res._send(`${text.length.toString(16)}\r\n${text}\r\n`, 'latin1')
  if (!takesMore) awaitDrain(res)
  return takesMore
}
