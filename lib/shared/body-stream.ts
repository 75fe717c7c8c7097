import { Readable } from 'node:stream'
import { type BodyReader, feed } from './body-reader.js'
import type { BodySource } from './body-source.js'
import type { SluicewayError } from './errors.js'
import { isRead } from './request-readers.js'

/** Reads a kept body from its start, apart from every other reader; for a reader of the request where it stands in for it. */
export class BodyStream extends Readable implements BodyReader {
  position = 0
  wanting = false
  ended = false
  loading: number | undefined = undefined
  private readonly source: BodySource
  private readonly isRequest: boolean

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
    // An iterator destroys its stream at the end, so a request without bodyCache would be closed by now.
    if (this.isRequest) this.source.replay!.wasRead = true
    // As a request does: one that nobody listens to ends quietly, rather than with an uncaught exception.
    callback(this.listenerCount('error') > 0 ? error : null)
  }
}
