import type { ParsedRequest } from '../node/internals.js'
import { isFramedByParser } from '../node/request/facts.js'
import { pushNatively, replacePush } from '../node/request/methods.js'
import { sourceOf } from '../node/streams/state.js'
import { SMALL_REST } from './refused/announce-close.js'
import type { ToldWaiting } from './views.js'

/** The source of a body as the parser sees it. */
interface FedSource {
  readonly waiting: ToldWaiting | undefined
  /** Takes bytes, or null as the end of the body. Returns false if the connection should pause. */
  receive(chunk: Buffer | null): boolean
}

/** A body that has a limit. */
interface LimitedBody {
  readonly req: ParsedRequest
  /** The announced length, or NaN. */
  readonly length: number
  readonly limit: number
}

/**
 * Tells whether the bytes of a body need not be counted: the parser hands over no more than the head announces. The
 * unread rest of a large body is still counted, to decide whether its connection is kept.
 *
 * @see RFC 9112 §6.2
 */
export function isLimitedByParser({ req, length, limit }: LimitedBody): boolean {
  return length <= Math.min(limit, SMALL_REST) && isFramedByParser(req)
}

/**
 * The chunks that reach `push`: Buffers from Node's parser, strings and other bytes from injectors and function
 * adapters.
 */
type Pushed = Uint8Array | string | null | undefined

/** Lets every byte of a request's body pass through its source from now on, and returns the request's own `push`. */
export function tapBytes(req: ParsedRequest): ParsedRequest['push'] {
  return replacePush(req, pushToSource)
}

function pushToSource(this: ParsedRequest, chunk: Pushed, encoding?: BufferEncoding): boolean {
  const source = sourceOf(this) as FedSource | undefined
  if (source === undefined) return pushNatively(this, chunk, encoding)
  const wantsMore = source.receive(bytesOf(chunk, encoding))
  source.waiting?.note()
  return wantsMore
}

/** Converts a chunk to a Buffer, as all further code counts and keeps bytes. */
function bytesOf(chunk: Pushed, encoding: BufferEncoding | undefined): Buffer | null {
  if (chunk === null || Buffer.isBuffer(chunk)) return chunk
  if (typeof chunk === 'string') return Buffer.from(chunk, encoding)
  return Buffer.from(chunk ?? [])
}
