import type { ReadableBody } from '../owner.js'
import type { BodyReader } from './reader.js'
import type { BodyStore } from './store.js'

/**
 * Hands a reader the chunk that was just kept. One that waits for it takes it as it came; one that is behind, or was
 * told to wait, is fed from the store in its turn.
 */
export function offer(reader: BodyReader, chunk: Buffer, body: ReadableBody): void {
  const { store } = body
  if (store === undefined || !body.isReadable) return
  if (reader.wanting && reader.position + chunk.length === store.size) hand(reader, chunk)
  else feed(reader, body)
}

/**
 * Hands a reader what is kept for it, for as long as it wants any, and the end when it has had it all.
 * Returns true where it wants what the client has not sent yet.
 */
export function feed(reader: BodyReader, body: ReadableBody): boolean {
  const { store, state, isReadable } = body
  if (store === undefined || !isReadable) return false
  while (reader.wanting) {
    const chunk = store.chunkAt(reader.position)
    if (chunk === undefined) break
    hand(reader, chunk)
  }
  if (!isAtTail(reader, store)) {
    if (reader.wanting) void load(reader, body, store)
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

/** Reads on from the file. What comes for a round that is over, or for a body that is, is discarded. */
async function load(reader: BodyReader, body: ReadableBody, store: BodyStore): Promise<void> {
  const { position } = reader
  if (reader.loading === position) return
  reader.loading = position
  const chunk = await store.readAt(position)
  if (chunk === undefined || reader.loading !== position || !body.isReadable) return
  reader.loading = undefined
  hand(reader, chunk)
  feed(reader, body)
}
