import { Readable, type Writable } from 'node:stream'
import { type BodyReader, feed } from './reader.js'
import type { BodySource } from '../source.js'
import type { SluicewayError } from '../../shared/errors.js'
import { isRead } from '../../node/has-listeners.js'
import { failDestination } from '../replay/told-round.js'

/** Reads a kept body from its start, apart from every other reader; for a reader of the request where it stands in for it. */
export class BodyStream extends Readable implements BodyReader {
  position = 0
  wanting = false
  ended = false
  loading: number | undefined = undefined
  private readonly source: BodySource
  private readonly isRequest: boolean
  /** What the request was piped to: these get its error, as those that it is piped to still. */
  private readonly destinations: Writable[] = []

  constructor(source: BodySource, { isRequest = false }: { readonly isRequest?: boolean } = {}) {
    super()
    this.source = source
    this.isRequest = isRequest
    source.readers.join(this)
  }

  get readsRequest(): boolean {
    return this.isRequest && isRead(this)
  }

  override _read(): void {
    const { source } = this
    if (source.failure !== undefined) {
      this.fail(source.failure)
      return
    }
    this.wanting = true
    if (feed(this, source)) source.pull()
  }

  advance(): void {
    feed(this, this.source)
  }

  accept(chunk: Buffer | null): boolean {
    return this.push(chunk)
  }

  /** Goes on with a pipe of the request. */
  pipeOn(destination: Writable, options: { readonly end: boolean }): void {
    this.destinations.push(destination)
    this.pipe(destination, options)
  }

  fail(error: SluicewayError): void {
    this.destroy(error)
    // As in Node, the destinations of a request whose client has left are told nothing.
    if (this.source.replay?.hasClosed === true) return
    for (const destination of this.destinations) {
      if (!destination.writableEnded) failDestination(this.source, destination, error, [])
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.source.leave(this)
    // An iterator destroys its stream at the end, so a request without bodyCache would be closed by now.
    if (this.isRequest) this.source.replay!.wasRead = true
    // As a request does: one that nobody listens to ends quietly, rather than with an uncaught exception.
    callback(this.listenerCount('error') > 0 ? error : null)
  }
}
