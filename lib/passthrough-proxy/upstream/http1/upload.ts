import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { isSocketUntouched } from '../../../node/connection/untouched-socket.js'
import { soleListenerOf } from '../../../node/memory/chunk-memory.js'
import { freeMemory } from '../../../node/memory/free-memory.js'
import type { SoleListener } from '../../../node/memory/sole-listener.js'
import { leaveToOthers } from '../../../node/streams/listeners.js'
import { hasEmittedClose } from '../../../node/streams/state.js'
import { timers } from '../../../node/timers.js'
import { lastChunk } from './request-writer.js'

/** The wait for the end of an answer that may want no more of the body. */
const HOLD_MS = 500

/** The connection as its upload sees it. */
export interface UploadOwner {
  /** Called when the whole body has been sent. */
  onSent(): void
  /** Called when the body has failed, or is not as announced. */
  onBroken(cause: unknown, isMismatch: boolean): void
}

/** The facts about a body that its upload needs. */
interface UploadBody {
  readonly source: Readable
  /** Returns the bytes that other readers have taken out of the source by now. */
  readonly taken: (() => readonly (Buffer | string)[] | undefined) | undefined
  readonly isChunked: boolean
  readonly contentLength: string | undefined
  readonly trailers: (() => readonly string[]) | undefined
}

/**
 * Sends a body from a stream to a connection, as fast as the connection takes it. It never destroys the stream, which
 * belongs to the maker of the request.
 */
export class Upload {
  private readonly body: UploadBody
  private readonly socket: Socket
  private readonly owner: UploadOwner
  /** Bytes that the connection was given. */
  sent = 0
  isOver = false
  private isStopped = false
  /** True once the server is gone: the rest is read, but not sent. */
  private isDiscarded = false
  /** True once the stream has emitted 'end'. */
  private hasEnded = false
  /** True while the server is slow to read, or may want no more. */
  private isHeldUp = false
  private holdTimer: NodeJS.Timeout | undefined
  /** Knows which chunks only this upload gets, so that their memory can be freed. */
  private sole: SoleListener | undefined

  constructor(body: UploadBody, socket: Socket, owner: UploadOwner) {
    this.body = body
    this.socket = socket
    this.owner = owner
  }

  /** True once the whole body has been sent. */
  get isWhole(): boolean {
    return this.isOver && !this.isStopped
  }

  /** Starts reading the stream. The bytes that it already has are sent in one write with the head. */
  start(): void {
    const { source } = this.body
    const taken = this.body.taken?.() ?? []
    source.on('data', this.onData).on('end', this.onEnd).on('error', this.onError).on('close', this.onClose)
    this.sole = soleListenerOf(source, this.onData)
    for (const chunk of taken) if (!this.isOver) this.onData(chunk)
    if (this.isOver) return
    if (!this.isHeldUp) source.resume()
    // A destroyed stream emits no more events, and neither does one that has ended.
    if (source.readableEnded) timers.nextTick(this.onEnd)
    else if (source.destroyed) timers.nextTick(this.onClose)
  }

  /**
   * Waits for the end of the answer, as a server that wants no more may reset the connection at the next byte. One that
   * has not ended its answer by then may be waiting for the body; `onOver` is called when that goes on.
   */
  hold(onOver: () => void): void {
    if (this.isOver) return
    this.isHeldUp = true
    this.body.source.pause()
    this.holdTimer ??= timers.setTimeout(endHold, HOLD_MS, this, onOver)
  }

  endHold(onOver: () => void): void {
    this.holdTimer = undefined
    onOver()
    this.resume()
  }

  /** Tells whether the server cannot be blamed for its silence: the client sends the body, or we hold it. */
  excusesSilence(hasHead: boolean): boolean {
    if (this.isOver || this.isDiscarded) return false
    return this.holdTimer !== undefined || (!hasHead && !this.isHeldUp)
  }

  /** Goes on when the connection takes more. */
  resume(): void {
    if (!this.isHeldUp || this.holdTimer !== undefined) return
    this.isHeldUp = false
    while (this.mayGoOn && this.sole?.readNext());
    if (this.mayGoOn) this.body.source.resume()
  }

  private get mayGoOn(): boolean {
    return !this.isOver && !this.isHeldUp
  }

  /**
   * Sends no more, as the server is gone, and discards the rest: a client may send all of it before it reads the answer,
   * which may be longer than the buffers on its way.
   */
  discard(): void {
    if (this.isOver) return
    this.isDiscarded = true
    timers.clearTimeout(this.holdTimer)
    this.holdTimer = undefined
    this.resume()
  }

  /** Stops sending. */
  stop(): void {
    if (this.isOver) return
    this.isStopped = true
    this.leave()
    leaveToOthers(this.body.source, this.isHeldUp)
  }

  private leave(): void {
    this.isOver = true
    timers.clearTimeout(this.holdTimer)
    this.sole?.leave()
    const { source } = this.body
    source.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose)
    // Its last error may come later, when it has no other listener: in Bun even after it counts as destroyed.
    if (hasEmittedClose(source)) this.onGone()
    else source.once('close', this.onGone)
  }

  private readonly onGone = (): void => {
    this.body.source.off('error', this.onError)
  }

  private readonly onData = (chunk: Buffer | string): void => {
    if (this.isDiscarded) return
    const isSole = this.sole?.gets(chunk) === true
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (bytes.length === 0) return
    if (this.isTooLong(bytes.length))
      return this.break(new Error('the body is longer than its Content-Length'), true)
    if (this.write(bytes, isSole && isSocketUntouched(this.socket))) return
    this.isHeldUp = true
    this.body.source.pause()
  }

  private isTooLong(length: number): boolean {
    this.sent += length
    return !this.body.isChunked && this.sent > Number(this.body.contentLength)
  }

  /** Writes bytes, and frees their memory once they are gone. After an error they may still be in use. */
  private write(bytes: Buffer, isFreed: boolean): boolean {
    const { socket } = this
    const whenGone = isFreed ? (error?: Error | null) => void (error ?? freeMemory(bytes)) : undefined
    if (!this.body.isChunked) return socket.write(bytes, whenGone)
    // Node emits the error in the next tick. After a second failed write, which `uncork` would make, it emits no end.
    if (socket.errored) return false
    socket.cork()
    socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
    socket.write(bytes, whenGone)
    const takesMore = socket.write('\r\n', 'latin1')
    socket.uncork()
    return takesMore
  }

  private readonly onEnd = (): void => {
    this.hasEnded = true
    timers.nextTick(finish, this)
  }

  /** Ends the upload. Node first reports the end of an HTTP/2 stream that was reset, and the reset a moment later. */
  finish(): void {
    if (this.isDiscarded) this.stop()
    if (this.isOver) return
    const { aborted } = this.body.source as { aborted?: boolean }
    if (aborted === true) return this.break(new Error('the body was closed before its end'))
    const { isChunked, contentLength } = this.body
    if (!isChunked && this.sent !== Number(contentLength)) {
      return this.break(new Error('the body is shorter than its Content-Length'), true)
    }
    if (isChunked && !this.writeLastChunk()) return
    this.leave()
    this.owner.onSent()
  }

  private writeLastChunk(): boolean {
    try {
      this.socket.write(lastChunk(this.body.trailers?.() ?? []), 'latin1')
      return true
    } catch (error) {
      this.break(error, true)
      return false
    }
  }

  private readonly onError = (error: Error): void => {
    if (!this.isOver) this.break(error)
  }

  private readonly onClose = (): void => {
    if (!this.isOver && !this.hasEnded) this.break(new Error('the body was closed before its end'))
  }

  /** Stops at a failure of the body. If the rest is only discarded, the answer does not depend on it. */
  private break(cause: unknown, isMismatch = false): void {
    const { isDiscarded } = this
    this.stop()
    if (!isDiscarded) this.owner.onBroken(cause, isMismatch)
  }
}

function finish(upload: Upload): void {
  upload.finish()
}

function endHold(upload: Upload, onOver: () => void): void {
  upload.endHold(onOver)
}
