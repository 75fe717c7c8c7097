import type { ReadableBody } from '../views.js'
import type { BodyReader } from './reader.js'
import type { BodyStore } from './store.js'

/**
 * Hands a reader the chunk that was just kept. A reader that waits for it gets it directly; one that is behind, or
 * was told to wait, is fed from the store later.
 */
export function offer(reader: BodyReader, chunk: Buffer, body: ReadableBody): void {
  const { store } = body
  if (store === undefined || !body.isReadable) return
  if (reader.wanting && reader.position + chunk.length === store.size) hand(reader, chunk)
  else feed(reader, body)
}

/**
 * Hands a reader the kept bytes while it wants more, and then the end. Returns true if the reader wants bytes that
 * the client has not sent yet.
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

/** Tells whether a reader has had all bytes that have arrived. */
export function isAtTail(reader: BodyReader, store: BodyStore): boolean {
  return reader.position === store.size
}

function hand(reader: BodyReader, chunk: Buffer): void {
  reader.position += chunk.length
  reader.wanting = reader.accept(chunk)
}

/** Reads on from the file. The result is discarded if the round or the body is over by then. */
async function load(reader: BodyReader, body: ReadableBody, store: BodyStore): Promise<void> {
  const { position } = reader
  if (reader.loading === position) return
  reader.loading = position
  const chunk = await store.readAt(position)
  if (reader.loading !== position || !body.isReadable) return
  reader.loading = undefined
  if (!Buffer.isBuffer(chunk)) {
    // The next reader asks for these bytes again.
    if (!reader.readsAhead) store.onFileError(chunk)
    return
  }
  hand(reader, chunk)
  // Node's request asks for more by itself only once its own `_read` has run, which `pull` calls.
  if (feed(reader, body)) body.pull()
}
