import type { Readable } from 'node:stream'
import type { SluicewayError } from '../../shared/errors.js'

/** A reader of the body, at its own pace: a stream, or the request itself. */
export interface BodyReader {
  /** The stream that the application reads. */
  readonly stream: Readable
  /** The number of bytes it has taken so far. */
  position: number
  /** The number of these bytes that its stream still holds. */
  readonly readableLength: number
  /** True from the moment it asks for more bytes until it has enough. */
  wanting: boolean
  /** True once it has been given the end of the body. */
  ended: boolean
  /** The position from which the file is being read for it; undefined if no read is in progress. */
  loading: number | undefined
  /** True while the application reads the request through it; such a reader may go on after the response. */
  readonly readsRequest: boolean
  /** True if no code waits for its bytes: they are for the next reader. */
  readonly readsAhead: boolean
  /** Offers a chunk that was just kept; the reader takes it now if it waits for it. */
  offer(chunk: Buffer): void
  /** Takes the available bytes that it wants, and notices the end of the body. */
  advance(): void
  /** Accepts bytes, or the end as null. Returns true while it wants more. */
  accept(chunk: Buffer | null): boolean
  /** Ends with `error`; it is not called again for this body. */
  fail(error: SluicewayError): void
}
