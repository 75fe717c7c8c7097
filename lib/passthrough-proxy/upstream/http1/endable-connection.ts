import type { Failure } from '../upstream.js'
import { Countdown } from './countdown.js'
import type { Delivery } from './delivery.js'
import { connectFailure, timeout, UNTOLD } from './failures.js'
import type { Transport, TransportOwner } from './transport.js'
import type { Upload, UploadOwner } from './upload.js'

/**
 * A connection to a server, and the ways in which it ends. `Connection` adds the requests that it carries.
 *
 *     die         the receiver of its request is told why
 *     destroy     no receiver is told
 *     onLost      the socket has closed, or failed
 *     onBroken    the body of the request has failed
 *     onTimeout   the server is silent, or the connection does not open
 *
 * A tunnel takes the socket, and leaves nothing to end.
 */
export abstract class EndableConnection implements TransportOwner, UploadOwner {
  protected abstract readonly transport: Transport
  /** 'open' from the connection of the socket on, with or without a request. */
  protected phase: 'opening' | 'open' | 'gone' = 'opening'
  /** The request that it carries. */
  protected delivery: Delivery | undefined
  protected upload: Upload | undefined
  protected hasHead = false
  protected writeError: Error | undefined
  protected readonly countdown: Countdown = new Countdown(() => this.onTimeout())

  abstract onOpen(): void
  abstract onBytes(bytes: Buffer): void
  abstract onDrain(): void
  abstract onServerEnd(): void
  abstract onSent(): void

  /** Called once it has ended; `lost` is the request that it carried. */
  protected abstract gone(reason: Failure, lost: Delivery | undefined): void

  /** Ends the connection in any state, without telling any receiver. */
  destroy(): void {
    this.delivery = undefined
    this.die(UNTOLD)
  }

  drop(): void {
    this.destroy()
  }

  /** Starts counting the time that the server has for its next step. */
  protected waitForServer(): void {
    const { request } = this.delivery as Delivery
    this.countdown.start(this.hasHead ? request.idleTimeoutMs : request.headersTimeoutMs)
  }

  /** True while a body is being sent, or if that was stopped. Over TLS, Node learns late that a head was written. */
  protected get isSending(): boolean {
    const hasBody = this.delivery?.request.body !== null
    return hasBody && (this.upload?.isWhole === false || this.transport.socket.writableLength > 0)
  }

  onBroken(cause: unknown, isMismatch: boolean): void {
    this.die({ kind: isMismatch ? 'unsendable' : 'reset', maybeHeard: true, cause })
  }

  onWriteError(error: Error): void {
    this.writeError = error
    this.upload?.discard()
  }

  onLost(error: Error): void {
    const cause = this.writeError ?? error
    this.die(this.phase === 'opening' ? connectFailure(error) : { kind: 'reset', maybeHeard: true, cause })
  }

  private onTimeout(): void {
    if (this.upload?.excusesSilence(this.hasHead) === true) this.waitForServer()
    else this.die(timeout(this.phase !== 'opening', this.hasHead))
  }

  protected die(reason: Failure): void {
    if (this.phase === 'gone') return
    const { delivery } = this
    this.phase = 'gone'
    this.delivery = undefined
    this.countdown.end()
    this.upload?.stop()
    this.transport.socket.destroy()
    this.gone(reason, delivery)
  }
}
