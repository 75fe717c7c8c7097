import { Readable } from 'node:stream'
import type { BodyReader, BodySource } from './body-source.js'
import type { SluicewayError } from './errors.js'

/** A reader that `feed` can serve. */
export interface FedReader extends BodyReader {
  /** How many bytes it has taken so far. */
  position: number
  wanting: boolean
  /** True once the end of the body was handed over. */
  ended: boolean
  /** Accepts bytes or, with null, the end. Returns true while more are welcome. */
  accept(chunk: Buffer | null): boolean
}

/** Hands a reader what the store has for it, for as long as it wants any, and the end when it has had it all. */
export function feed(reader: FedReader, { store, state, isReadable }: BodySource): void {
  if (store === undefined || !isReadable) return
  while (reader.wanting) {
    const chunk = store.chunkAt(reader.position)
    if (chunk === undefined) break
    reader.position += chunk.length
    reader.wanting = reader.accept(chunk)
  }
  if (state === 'whole' && !reader.ended && reader.position === store.size) {
    reader.ended = true
    reader.accept(null)
  }
}

/** Reads a kept body from its start, apart from every other reader. */
export class BodyStream extends Readable implements FedReader {
  position = 0
  wanting = false
  ended = false
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
    feed(this, source)
    if (this.wanting) source.pull()
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
