import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/**
 * The body of a request as the upstream reads it. An upstream destroys the body of a request that fails, and with an
 * IncomingMessage the client's connection; this stream stands between, so that `req` and its connection are whole
 * when the answer is written. Nothing of `req` is read before the upstream asks for it.
 */
export class UploadBody extends Readable {
  private readonly req: IncomingMessage
  private listening = false
  /** The error with which `req` itself ended the upload. */
  failure: Error | undefined

  constructor(req: IncomingMessage) {
    // Nothing is kept here: what is read goes on at once, still in the processor's cache, or is not read yet.
    super({ highWaterMark: 0 })
    this.req = req
    // The upstream may stop listening before the last error comes.
    this.on('error', ignore)
  }

  override _read(): void {
    if (!this.listening) this.listen()
    this.req.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.unlisten()
    callback(error)
  }

  private listen(): void {
    this.listening = true
    this.req.on('data', this.onData).on('end', this.onEnd).on('error', this.onError).on('close', this.onClose)
  }

  private unlisten(): void {
    this.req
      .off('data', this.onData)
      .off('end', this.onEnd)
      .off('error', this.onError)
      .off('close', this.onClose)
    if (this.listening) this.req.pause()
  }

  private readonly onData = (chunk: Buffer): void => {
    try {
      if (!this.push(chunk) || this.isPaused()) this.req.pause()
    } catch (error) {
      this.onError(error as Error)
    }
  }

  private readonly onEnd = (): void => {
    this.listening = false
    this.push(null)
  }

  private readonly onError = (error: Error): void => {
    this.failure = error
    this.destroy(error)
  }

  private readonly onClose = (): void => {
    if (!this.readableEnded && this.listening) this.destroy(new Error('request closed'))
  }
}

function ignore(): void {}
