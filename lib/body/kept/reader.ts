import type { BodySource } from '../source.js'
import type { BodyStore } from './store.js'
import type { SluicewayError } from '../../shared/errors.js'

/** Somebody who reads the body at a pace of his own. */
export interface BodyReader {
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
  /** True while somebody reads the request through it: that may go on after the response. */
  readonly readsRequest: boolean
  /** Takes what it wants of the bytes at hand, and notices the end of the body. */
  advance(): void
  /** Accepts bytes or, with null, the end. Returns true while more are welcome. */
  accept(chunk: Buffer | null): boolean
  /** Ends with `error`; it is not called again for this body. */
  fail(error: SluicewayError): void
}

/**
 * Hands a reader what is kept for it, for as long as it wants any, and the end when it has had it all.
 * Returns true where it wants what the client has not sent yet.
 */
export function feed(reader: BodyReader, source: BodySource): boolean {
  const { store, state, isReadable } = source
  if (store === undefined || !isReadable) return false
  while (reader.wanting) {
    const chunk = store.chunkAt(reader.position)
    if (chunk === undefined) break
    hand(reader, chunk)
  }
  if (!isAtTail(reader, store)) {
    if (reader.wanting) void load(reader, source, store)
    return false
  }
  if (state === 'whole' && !reader.ended) {
    reader.ended = true
    reader.accept(null)
  }
  return reader.wanting && state === 'arriving'
}

/** Tells whether a reader has had all that has come. */
export function isAtTail(reader: BodyReader, store: BodyStore): boolean {
  return reader.position === store.size
}

function hand(reader: BodyReader, chunk: Buffer): void {
  reader.position += chunk.length
  reader.wanting = reader.accept(chunk)
}

/** Reads on from the file. What comes for a round that is over, or for a body that is, goes nowhere. */
async function load(reader: BodyReader, source: BodySource, store: BodyStore): Promise<void> {
  const { position } = reader
  if (reader.loading === position) return
  reader.loading = position
  const chunk = await store.readAt(position)
  if (chunk === undefined || reader.loading !== position || !source.isReadable) return
  reader.loading = undefined
  hand(reader, chunk)
  feed(reader, source)
}
