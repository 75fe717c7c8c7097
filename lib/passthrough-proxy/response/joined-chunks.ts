import type { ServerResponse } from 'node:http'
import type { OutgoingResponse } from '../../node/internals.js'
import { isFramedNow, sendChunk } from '../../node/response/send-chunk.js'
import { isUntouched } from '../../node/response/untouched-response.js'
import { SMALL } from './hand-to-kernel.js'

/** The most bytes that are joined. */
const MAX_JOINED_BYTES = 64 * 1024

/**
 * The small chunks of one read, such as server-sent events, which go to the client as one chunk: Node would write each
 * in four pieces. They are joined only if no other code can see them on their way.
 */
export class JoinedChunks {
  private readonly res: OutgoingResponse
  private text = ''

  constructor(res: ServerResponse) {
    this.res = res as OutgoingResponse
  }

  /** Copies a chunk. Returns false if it has to be written as others are, after those that were copied. */
  add(chunk: Buffer): boolean {
    if (chunk.length > SMALL || this.text.length + chunk.length > MAX_JOINED_BYTES) return false
    if (this.text === '' && !(isFramedNow(this.res) && isUntouched(this.res))) return false
    this.text += chunk.toString('latin1')
    return true
  }

  /** Sends the copied chunks. Returns false if the client's buffers are full. */
  send(): boolean {
    if (this.text === '') return true
    const { text } = this
    this.text = ''
    return this.res.writableEnded || this.res.destroyed || sendChunk(this.res, text)
  }

  /** Sends the copied chunks together with what is written next. At the end of the read, the socket is uncorked once. */
  sendWithNext(): void {
    if (this.text === '') return
    const { socket } = this.res
    if (socket?.writableCorked === 0) socket.cork()
    this.send()
  }
}
