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

  /** Calls `onFailure` where the source fails or is cut: what the child has read is not the whole. */
  start(onFailure: (error: Error) => void): void {
    const stopWatching = finished(this.source, { writable: false }, (error) => {
      if (error) onFailure(error)
    })
    this.listeners.addRemoval(stopWatching)
    this.listeners.on(this.stdin, 'close', () => this.stop())
    this.source.pipe(this.stdin)
    // Now, and not in the next tick: behind the head, no client can be told `100 Continue`.
    this.source.read(0)
    if (this.stdin.destroyed) this.stop()
  }

  /**
   * Reads and discards what the child does not want: `head -1` has enough, but a client that sends its whole body before
   * it reads waits until that is taken. Any other stream is of no use to anybody now.
   */
  stop(): void {
    this.listeners.removeAll()
    this.source.unpipe(this.stdin)
    if (this.isRequest) this.source.resume()
    else this.source.destroy()
  }
}
