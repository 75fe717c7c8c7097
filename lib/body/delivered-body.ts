import { NO_SOCKET, socketOf } from '../node/connection/no-socket.js'
import type { OutgoingResponse, ParsedRequest, ServerSocket } from '../node/internals.js'
import { announcedLength, hasConnection, isBodyComplete, isFramedByParser } from '../node/request/facts.js'
import { readableStateOf } from '../node/streams/state.js'
import { type ErrorDetails, type SluicewayError, sluicewayError } from '../shared/errors.js'
import { wasReadBefore } from './replay/read-before.js'
import { tapBytes } from './tap-bytes.js'
import type { BodyExchange, BodyState } from './views.js'

/** The body of a request as its connection, or its host, delivers it, and why there is no more of it. */
export abstract class DeliveredBody implements BodyExchange {
  readonly req: ParsedRequest
  readonly res: OutgoingResponse
  readonly socket: ServerSocket
  /** True in a function adapter. This is determined once, because a lost connection leaves no trace. */
  readonly isOfHost: boolean
  /** True while a host that was asked for bytes has not delivered any. */
  hostWasAsked = false
  state: BodyState = 'arriving'
  /**
   * The number of bytes accepted since they began to pass through here, with all of the chunk that passed the limit.
   */
  received = 0
  /** The number of bytes that the head announces, or NaN. */
  readonly length: number
  /** True if other code has read some bytes before. */
  missesBytes = false
  protected error: SluicewayError | undefined
  /** Set if the client left before the end. */
  protected cut: ErrorDetails | undefined
  /** The request's own `push`; undefined until the bytes pass through here. */
  protected nativePush: ParsedRequest['push'] | undefined

  constructor(req: ParsedRequest, res: OutgoingResponse) {
    this.req = req
    this.res = res
    this.socket = socketOf(req, res)
    this.isOfHost = this.socket === NO_SOCKET || (req.socket != null && !hasConnection(req))
    this.length = announcedLength(req)
  }

  get isReadable(): boolean {
    return this.state === 'arriving' || this.state === 'whole'
  }

  get failure(): SluicewayError | undefined {
    if (this.cut !== undefined) this.error ??= sluicewayError('ERR_SLUICEWAY_BODY_ABORTED', this.cut)
    if (this.state !== 'released') return this.error
    return this.error ?? sluicewayError('ERR_SLUICEWAY_BODY_RELEASED')
  }

  /** Makes the bytes pass through `receive` from now on. Returns the request's own `push`. */
  tap(): ParsedRequest['push'] {
    if (this.nativePush !== undefined) return this.nativePush
    this.received = readableStateOf(this.req).length
    this.missesBytes = wasReadBefore(this.req)
    if (isBodyComplete(this.req)) this.state = 'whole'
    return (this.nativePush = tapBytes(this.req))
  }

  /**
   * Tells whether all bytes have arrived, so that only the end is due. The parser reports it in the same turn; if the
   * response was sent at once, Node itself ends a body that is not kept.
   */
  protected isDueToEnd(isKept: boolean): boolean {
    return this.received === this.length && (!isKept || isFramedByParser(this.req))
  }

  /** Puts bytes, or null as the end, into the request's own buffer. Returns false if that is full. */
  buffer(chunk: Buffer | null): boolean {
    return this.nativePush!.call(this.req, chunk)
  }

  /** Takes bytes from the parser, or null as the end of the body. Returns false if the connection should pause. */
  abstract receive(chunk: Buffer | null): boolean
}
