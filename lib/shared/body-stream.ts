import { Readable } from 'node:stream'
import { type BodyReader, feed } from './body-reader.js'
import type { BodySource } from './body-source.js'
import type { SluicewayError } from './errors.js'

/** Reads a kept body from its start, apart from every other reader. */
export class BodyStream extends Readable implements BodyReader {
  position = 0
  wanting = false
  ended = false
  loading: number | undefined = undefined
  private readonly source: BodySource

  constructor(source: BodySource) {
    super()
    this.source = source
    source.join(this)
  }

  override _read(): void {
    const { source } = this
    if (source.failure !== undefined) {
      this.destroy(source.failure)
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

  fail(error: SluicewayError): void {
    this.destroy(error)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.source.leave(this)
    // As a request does: one that nobody listens to ends quietly, rather than with an uncaught exception.
    callback(this.listenerCount('error') > 0 ? error : null)
  }
}
