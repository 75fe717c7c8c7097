import { finished, type Readable, type Writable } from 'node:stream'
import { ListenerSet } from './listener-set.js'

/** Pipes a stream, such as a request, into a child that may stop reading at any time. */
export class PipedInput {
  private readonly source: Readable
  private readonly stdin: Writable
  private readonly isRequest: boolean
  private readonly listeners = new ListenerSet()

  constructor(source: Readable, stdin: Writable, isRequest: boolean) {
    this.source = source
    this.stdin = stdin
    this.isRequest = isRequest
  }

  /** Calls `onFailure` if the source fails or is cut, because the child has then read only a part. */
  start(onFailure: (error: Error) => void): void {
    const stopWatching = finished(this.source, { writable: false }, (error) => {
      if (error) onFailure(error)
    })
    this.listeners.addRemoval(stopWatching)
    this.listeners.on(this.stdin, 'close', () => this.stop())
    this.source.pipe(this.stdin)
    // Read now, and not in the next tick: `100 Continue` cannot be sent after the head.
    this.source.read(0)
    if (this.stdin.destroyed) this.stop()
  }

  /**
   * Discards the rest of a request that the child does not read, such as `head -1`: many clients read the response only
   * after they have sent the whole body. Any other stream is destroyed.
   */
  stop(): void {
    this.listeners.removeAll()
    this.source.unpipe(this.stdin)
    if (this.isRequest) this.source.resume()
    else this.source.destroy()
  }
}
