import type { Readable } from 'node:stream'
import type { SluicewayError } from '../../shared/errors.js'

/** A reader of the body, at its own pace: a stream, or the request itself. */
export interface BodyReader {
  /** What the application reads. */
  readonly stream: Readable
  /** How many bytes it has taken so far. */
  position: number
  /** How many of them its stream still holds. */
  readonly readableLength: number
  /** True from when it asked for more bytes until it has been given enough. */
  wanting: boolean
  /** True once the end of the body was handed over. */
  ended: boolean
  /** The position from which the file is being read for it; undefined while it is not. */
  loading: number | undefined
  /** True while the application reads the request through it: that may go on after the response. */
  readonly readsRequest: boolean
  /** Takes a chunk that has just come and is kept: at once where it waits for it. */
  offer(chunk: Buffer): void
  /** Takes what it wants of the bytes at hand, and notices the end of the body. */
  advance(): void
  /** Accepts bytes or, with null, the end. Returns true while more are welcome. */
  accept(chunk: Buffer | null): boolean
  /** Ends with `error`; it is not called again for this body. */
  fail(error: SluicewayError): void
}
