import type { Readable } from 'node:stream'
import { handsOverTo, passToNode, replaceOnBody } from '../connection/parser.js'
import { IncomingMessage } from '../http.js'
import type { ParsedRequest, RequestParser, ServerSocket } from '../internals.js'
import { isPushUnseen } from '../request/methods.js'
import { freeMemory } from './free-memory.js'
import { SoleListener, soleListeners } from './sole-listener.js'

/*
 * Node's HTTP/1 parser copies each piece of a body into memory of its own, up to 64 KB, which V8 gives back only in a
 * collection. A chunk that is used once and then discarded can give its memory back at once, which makes a large upload
 * cheaper. No other code may hold such a chunk, now or later:
 *
 *     parser ─ handOver: fresh ─▶ push, Node's or ours ─▶ emit, Node's ─▶ the sole listener ─▶ freeMemory
 *                                     └─ a rest that has no reader ─────────────────────────▶ freeFresh
 */

/** The size from which on it costs less to give memory back than to leave it to a collection. */
const MIN_FREED_BYTES = 16 * 1024

/** The requests whose further chunks are discarded as they arrive. */
const discarded = new WeakSet<IncomingMessage>()

/** The chunk of such a request that a parser is handing over, which no code has seen before. */
let fresh: Buffer | undefined

/**
 * Begins to note the chunks of a request as the parser hands them over. Returns false if it is not Node's own: one in
 * JavaScript passes on parts of what the socket has read.
 */
function noteChunks({ socket }: { readonly socket?: Partial<ServerSocket> | null }): boolean {
  const parser = socket?.parser ?? undefined
  return parser !== undefined && replaceOnBody(parser, handOver)
}

/**
 * Notes the chunks of a request as `noteChunks` does, so that `freeFresh` can free those that come from now on. A body
 * whose announced `length` (or NaN) is small has none that are worth it.
 */
export function noteRest({
  req,
  socket,
  length,
}: {
  readonly req: ParsedRequest
  readonly socket: ServerSocket
  readonly length: number
}): void {
  if (length < MIN_FREED_BYTES) return
  if (noteChunks({ socket })) discarded.add(req)
}

/**
 * Returns the object that knows which chunks of a stream only `listener` gets; undefined if the stream is not a request
 * over HTTP/1.
 */
export function soleListenerOf(source: Readable, listener: unknown): SoleListener | undefined {
  const isRequest = source instanceof IncomingMessage && source.method !== null
  return isRequest && noteChunks(source) ? new SoleListener(source as ParsedRequest, listener) : undefined
}

/** Takes the place of the parser's own function, which is called with the parser as `this`. */
function handOver(this: RequestParser, chunk: Buffer): void {
  // Code that has replaced it since may keep the chunk.
  if (!isWhole(chunk) || !handsOverTo(this, handOver)) return passToNode(this, chunk)
  const req = this.incoming as ParsedRequest | null
  // Node drops the bytes of a request that was answered before it was read.
  if (req === null || req._dumped === true) return freeMemory(chunk)
  const sole = soleListeners.get(req)
  const before = fresh
  // A replacement of `push` that removes itself as it is called would not be seen later.
  fresh = discarded.has(req) && isPushUnseen(req) ? chunk : undefined
  sole?.begin(chunk)
  try {
    passToNode(this, chunk)
  } finally {
    fresh = before
    sole?.end()
  }
}

/** Frees the memory of a chunk that is discarded, unless other code may have seen it. */
export function freeFresh(chunk: Buffer): void {
  if (chunk === fresh) freeMemory(chunk)
}

/** Tells whether a chunk is large, and has its memory for itself. */
function isWhole({ byteOffset, byteLength, buffer }: Buffer): boolean {
  return byteLength >= MIN_FREED_BYTES && byteOffset === 0 && buffer.byteLength === byteLength
}
