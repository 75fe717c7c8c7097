import { Readable } from 'node:stream'
import { MAX_DISCARDED_BYTES } from './discarded-body.js'

/** The exchange as the body of its response sees it. */
export interface BodyOwner {
  /** Resumes the upstream, which was paused because enough of its body waits here. */
  resumeUpstream(): void
  /** Ends the upstream request, whose answer is no longer needed; the answer to the client continues. */
  leaveUpstream(): void
  /** Discards the rest of the upstream's response from now on, unless a part of the request is still to be sent. */
  discardUpstream(): void
  /** Ends the exchange with an exception that would not be caught elsewhere. */
  breakOff(error: unknown): void
}

/** The most bytes that wait for a hook or a transform; then the upstream is paused. It is a read or two. */
const MAX_WAITING_BYTES = 64 * 1024

/** The size up to which copying a chunk costs less than giving away the memory into which it was read. */
const SMALL = 16 * 1024

/** The body of an upstream's response as it arrives, for readers that take it at their own pace. */
export class UpstreamBody extends Readable {
  private readonly owner: BodyOwner
  private waits = false
  private isReadOver = true
  /** True if the memory of the last read is still needed. */
  holdsChunks = false
  private isUnwanted = false
  private discarded = 0
  /** True once a byte has arrived. */
  hasBegun = false
  /** True once the upstream has sent its last byte. */
  hasEnded = false
  trailers: string[] = []

  constructor(owner: BodyOwner) {
    super({ highWaterMark: MAX_WAITING_BYTES })
    this.owner = owner
  }

  /** Takes a chunk from the upstream. */
  receive(chunk: Buffer): void {
    this.hasBegun = true
    if (this.isReadOver) this.holdsChunks = false
    this.isReadOver = false
    if (this.isUnwanted) return this.discard(chunk)
    const isSmall = chunk.length <= SMALL
    this.holdsChunks ||= !isSmall
    this.push(isSmall ? Buffer.from(chunk) : chunk)
  }

  /** Takes the end of the body. */
  finish(trailers: string[]): void {
    this.hasEnded = true
    if (!this.isUnwanted) this.trailers = trailers
    this.push(null)
  }

  /** Called when a read has been passed on. Returns false if the upstream is to pause; it is resumed later. */
  takesMore(): boolean {
    this.isReadOver = true
    this.waits = !this.isUnwanted && this.readableLength >= MAX_WAITING_BYTES
    return !this.waits
  }

  /** Discards the rest of the body, within bounds: its connection may then serve another request. */
  giveUp(): void {
    this.isUnwanted = true
    this.trailers = []
    this.destroy()
    this.owner.discardUpstream()
    this.resumeUpstream()
  }

  /** Takes everything that waits here; the rest is read elsewhere. */
  takeAll(): Buffer[] {
    this.waits = false
    const chunks: Buffer[] = []
    // From Node 26 on, `read` returns one chunk at a time.
    for (let chunk = this.read(); chunk !== null; chunk = this.read()) chunks.push(chunk as Buffer)
    return chunks
  }

  override _read(): void {
    this.resumeUpstream()
  }

  private resumeUpstream(): void {
    if (!this.waits || this.hasEnded) return
    this.waits = false
    this.owner.resumeUpstream()
  }

  private discard(chunk: Buffer): void {
    this.discarded += chunk.length
    if (this.discarded > MAX_DISCARDED_BYTES) this.owner.leaveUpstream()
  }
}
