import { AsyncResource } from 'node:async_hooks'
import { Readable } from 'node:stream'
import { leaveToOthers } from '../../../node/streams/listeners.js'
import { hasEmittedClose } from '../../../node/streams/state.js'
import type { UpstreamRequest } from '../upstream.js'

/**
 * A body as undici reads it. undici destroys the body of a request that fails, and with an IncomingMessage the
 * client's connection; this stream shields the body, which stays with its owner. None of it is read before undici
 * asks.
 */
export class ShieldedBody extends Readable {
  private readonly body: Readable
  /** Returns the bytes that other readers have taken out of the body by now. */
  private readonly taken: UpstreamRequest['taken']
  /**
   * The context of the request: `req` ends in the context in which it is read, and undici reads in that of its
   * connection.
   */
  private readonly context = new AsyncResource('SLUICEWAY_BODY')
  private listening = false
  /** True while the body is paused because this stream is full. */
  private isFull = false
  /** Bytes that were passed on. */
  passed = 0

  constructor(body: Readable, taken: UpstreamRequest['taken']) {
    // It buffers nothing: a chunk is passed on at once, while it is in the processor's cache, or is not read yet.
    super({ highWaterMark: 0 })
    this.body = body
    this.taken = taken
    // The upstream may stop listening before the last error comes.
    this.on('error', ignore)
  }

  override _read(): void {
    this.context.runInAsyncScope(() => this.flow())
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.unlisten()
    callback(error)
  }

  private flow(): void {
    if (!this.listening) this.listen()
    this.isFull = false
    this.body.resume()
  }

  private listen(): void {
    this.listening = true
    const taken = this.taken?.() ?? []
    this.body
      .on('data', this.onData)
      .on('end', this.onEnd)
      .on('error', this.onError)
      .on('close', this.onClose)
    for (const chunk of taken) this.onData(chunk)
    // It may have ended or closed while the request waited for a connection.
    if (this.body.readableEnded) this.onEnd()
    else if (this.body.closed) this.onClose()
  }

  private unlisten(): void {
    const { body } = this
    body.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose)
    // In Bun, the last error of a request comes after it counts as destroyed, when it has no other listener.
    if (body.destroyed && !hasEmittedClose(body)) body.once('close', this.onGone)
    else this.onGone()
    if (this.listening) leaveToOthers(this.body, this.isFull)
  }

  private readonly onGone = (): void => {
    this.body.off('error', this.onError)
  }

  private readonly onData = (chunk: Buffer | string): void => {
    try {
      this.passed += chunk.length
      this.isFull = !this.push(chunk) || this.isPaused()
      if (this.isFull) this.body.pause()
    } catch (error) {
      this.onError(error as Error)
    }
  }

  private readonly onEnd = (): void => {
    this.listening = false
    this.push(null)
  }

  private readonly onError = (error: Error): void => {
    this.destroy(error)
  }

  private readonly onClose = (): void => {
    if (!this.readableEnded && this.listening) this.destroy(new Error('the body was closed before its end'))
  }
}

function ignore(): void {}
