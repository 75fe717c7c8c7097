import type { Writable } from 'node:stream'
import type { OutgoingResponse, ParsedRequest } from '../../node/internals.js'
import { isHttp2 } from '../../node/request/facts.js'
import { hasListeners } from '../../node/streams/listeners.js'
import { isPipedInto } from '../../node/streams/pipes.js'
import type { SluicewayError } from '../../shared/errors.js'
import { isError } from '../../shared/is-error.js'
import { BodyStream } from '../kept/stream.js'
import type { ReadableBody } from '../views.js'
import { failDestination } from './failed-round.js'

/** The request as the stream that replaces it sees it. */
interface ReplacedRequest {
  readonly req: ParsedRequest
  readonly res: OutgoingResponse
  /** True once the request was closed for good. */
  readonly hasClosed: boolean
  /** Notes that a reader of the request has had the whole body from a stream in its place. */
  noteReadToEnd(where: 'instead'): void
  /** Makes the next reader of the request begin at a position, with the encoding of this one. */
  goOnAt(position: number, encoding: BufferEncoding | null): void
  readonly closeWaiters: {
    /** Notes that a reader has left the body before its end. */
    readerLeft(): void
  }
}

/** Replaces the request for its iterators, and for a reader whose round another reader has interrupted. */
export class StandIn extends BodyStream {
  private readonly request: ReplacedRequest
  /** The destinations that were moved from the request; they get its error even if they were unpiped. */
  private readonly destinations: Writable[] = []
  /** True if a loop reads it. */
  private isIterated = false
  /** True if the rest is left to the next reader. */
  private isLeft = false
  private tellLeft: (() => void) | undefined

  constructor(body: ReadableBody, request: ReplacedRequest) {
    super(body)
    this.request = request
  }

  /** Begins at a position, for a loop. */
  iterateFrom(position: number): void {
    this.isIterated = true
    this.position = position
  }

  /** Calls `tell` once no reader takes bytes from it any more: it has ended or failed, or its destinations are lost. */
  whenLeft(tell: () => void): void {
    this.tellLeft = tell
  }

  private left(): void {
    const tell = this.tellLeft
    this.tellLeft = undefined
    tell?.()
  }

  override unpipe(destination?: NodeJS.WritableStream): this {
    super.unpipe(destination)
    if (!hasListeners(this)) this.left()
    return this
  }

  /** Gives strings if an encoding was set on the request for this reader. Returns true if one was. */
  takeEncoding(): boolean {
    const { readableEncoding } = this.request.req
    if (readableEncoding !== null) this.setEncoding(readableEncoding)
    return readableEncoding !== null
  }

  /** Iterates, and leaves the rest to the next reader of the request. */
  async *beginning(): AsyncGenerator<Buffer, void, undefined> {
    let taken = this.position
    try {
      for await (const chunk of this.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        // With an encoding the chunks are strings, in which a malformed character takes more bytes than in the body.
        taken = Math.min(taken + Buffer.byteLength(chunk, this.readableEncoding ?? undefined), this.position)
        yield chunk
      }
    } finally {
      this.isLeft = !this.destroyed && !this.readableEnded
      if (this.isLeft) this.request.goOnAt(taken, this.readableEncoding)
      this.destroy()
    }
  }

  override get readsRequest(): boolean {
    return hasListeners(this)
  }

  /** Continues a pipe of the request, which calls `end` if it is still there at the end. */
  pipeOn(destination: Writable, end: () => void): void {
    this.destinations.push(destination)
    this.once('end', () => isPipedInto(this, destination) && end())
    this.pipe(destination, { end: false })
  }

  override fail(error: SluicewayError): void {
    const given = errorOfRequest(error)
    // Over HTTP/2 Node has no error for a client that has left. A loop makes its own for a stream that has no end.
    const isLeft = this.isIterated && given.code === 'ERR_SLUICEWAY_BODY_ABORTED' && isHttp2(this.request.req)
    this.destroy(isLeft ? undefined : given)
    // As in Node, the destinations of a request are not told that its client has left.
    if (this.request.hasClosed) return
    for (const destination of this.destinations) {
      if (!destination.writableEnded) failDestination(this.request, destination, error, () => false)
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // An iterator destroys its stream at the end, so a request without bodyCache would be closed by now.
    const { request } = this
    if (!this.isLeft) request.noteReadToEnd('instead')
    if (!this.isLeft && !this.ended) request.closeWaiters.readerLeft()
    super._destroy(error, callback)
    this.left()
  }
}

/**
 * Returns the error that Node would give a reader of the request, because a handler may check its code: the error of
 * the connection, or the one with which the application has destroyed the request.
 */
function errorOfRequest(error: SluicewayError): NodeJS.ErrnoException {
  const { code, cause } = error
  return code === 'ERR_SLUICEWAY_BODY_ABORTED' && isError(cause) ? cause : error
}
