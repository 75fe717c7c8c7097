import { isCutShort, isHttp2, wasReset } from '../node/request/facts.js'
import { isAnswered, onResponseClose } from '../node/response/close.js'
import { keepListeners, isBeingRead } from '../node/streams/listeners.js'
import { bodyRefused } from '../shared/channels.js'
import { bodyTooLarge, type ErrorDetails, type SluicewayError, sluicewayError } from '../shared/errors.js'
import { closeCutRequest } from './cut-request.js'
import { DeliveredBody } from './delivered-body.js'
import { sendContinue } from './expect-continue.js'
import type { BodyReader } from './kept/reader.js'
import { BodyReaders } from './kept/readers.js'
import { BodyStore, type BodyStoreOwner, type Storage } from './kept/store.js'
import { BodyStream } from './kept/stream.js'
import { LateReading, type LateReadingOwner } from './late-reading.js'
import { announceCloseOf } from './refused/announce-close.js'
import { isHeard, RefusedAnswer } from './refused/answer.js'
import { leaveRest } from './refused/begun-rest.js'
import { DEFAULT_LINGER } from './refused/linger.js'
import { openRest } from './refused/open-rest.js'
import type { LingerBounds, RefusedRest, Rest } from './refused/rest.js'
import { Rounds } from './replay/rounds.js'
import { isLimitedByParser } from './tap-bytes.js'
import type { AnsweredBody, ReplayedBody } from './views.js'
import type { Waiting } from './waiting.js'

/**
 * Takes the bytes of one request's body from the HTTP parser (`req.push`) to its readers:
 *
 *     parser ─▶ receive: limit ─┬─ kept ──▶ store, and each reader that waits for it: streams, the request
 *                               ├─ not ───▶ the request's own buffer
 *                               └─ refused, or answered ──▶ rest: discarded
 *
 * The middlewares that limit, keep or pass on a body all add to this one tap, so their order cannot matter.
 */
export class BodySource
  extends DeliveredBody
  implements BodyStoreOwner, ReplayedBody, AnsweredBody, LateReadingOwner
{
  limit: number = Infinity
  store: BodyStore | undefined
  readonly readers: BodyReaders = new BodyReaders()
  /** Serves the request from the store; set once the body is kept, or has failed. */
  replay: Rounds | undefined
  /** Tells watchers of chunks and of waiting; set once the body is watched. */
  waiting: Waiting | undefined
  announcesClose = false
  /** Discards the bytes that come after the body was refused or its request answered. */
  private rest: Rest | undefined
  private linger: LingerBounds = DEFAULT_LINGER
  private lingerLimit = Infinity
  private lateReading: LateReading | undefined

  /** Accepts at most `limit` bytes; the smallest limit counts. Returns the error of a body that is known to be larger. */
  addLimit(limit: number, linger?: LingerBounds): SluicewayError | undefined {
    this.limit = Math.min(limit, this.limit)
    if (!isLimitedByParser(this)) this.tap()
    // The bounds are those of the smallest limit that has any, in any order.
    if (linger !== undefined && limit <= this.lingerLimit) [this.linger, this.lingerLimit] = [linger, limit]
    announceCloseOf(this)
    const tooLarge = this.length > this.limit || this.received > this.limit
    if (tooLarge && this.error === undefined && this.cut === undefined) this.refuse(bodyTooLarge(this))
    return this.cut === undefined ? this.error : this.failure
  }

  /** Keeps every byte, and makes the request readable any number of times from the store. */
  keep(storage: Storage): void {
    if (this.store !== undefined || !this.isReadable) return
    const replay = this.startReplay()
    const store = new BodyStore(storage, this)
    this.store = store
    onResponseClose(this.res, () => this.release())
    const lost = replay.takeBuffered(store)
    this.received = store.size
    if (lost !== undefined) {
      this.discardRest()
      this.fail(sluicewayError(lost))
    }
    if (this.state === 'whole') store.end(true)
    if (this.error === undefined) this.readers.join(replay)
  }

  noteComplete(): void {
    this.state = 'whole'
  }

  private startReplay(): Rounds {
    return (this.replay ??= new Rounds(this, this.tap()))
  }

  /** Opens a stream of the kept body, from its start and at a pace of its own. */
  stream(): BodyStream {
    return new BodyStream(this)
  }

  leave(reader: BodyReader): void {
    this.readers.leave(reader)
    if (reader.ended) this.replay?.bodyWasRead('beside')
    this.readerIsDone(true)
  }

  readerIsDone(isForGood: boolean): void {
    if (isForGood && this.lateReading !== undefined && !this.isReadOn) this.release()
    else if (this.store !== undefined && this.received > 0 && this.hasRoom) this.pull()
  }

  pull(): void {
    if (this.state !== 'arriving' || this.store?.isWriting === true) return
    if (this.hasReaders) sendContinue(this.req)
    this.replay!.pull()
    this.waiting?.note()
  }

  override receive(chunk: Buffer | null): boolean {
    this.hostWasAsked = false
    const { rest } = this
    if (rest !== undefined) return rest.discard(chunk)
    if (this.state === 'released') return this.receiveLate(chunk)
    if (chunk === null) return this.complete()
    const accepted = this.limit - this.received
    this.received += chunk.length
    this.waiting?.bytesReceived(chunk.length)
    if (chunk.length <= accepted) return this.deliver(chunk)
    if (accepted > 0) this.deliver(chunk.subarray(0, accepted))
    // Storing these bytes may have failed.
    if (this.isReadable) this.refuse(bodyTooLarge(this))
    return this.rest !== undefined && this.rest.discard(chunk.subarray(accepted))
  }

  private deliver(chunk: Buffer): boolean {
    const { store } = this
    if (store === undefined) return this.buffer(chunk)
    store.append(chunk)
    this.readers.offer(chunk)
    return this.hasRoom && !store.isWriting
  }

  /** Receives what comes after the release without a rest that discards it: the end that was due, or bytes of a host. */
  private receiveLate(chunk: Buffer | null): boolean {
    // Over HTTP/2 an end comes once more as the stream closes, and code may wait for it.
    if (chunk !== null || isHttp2(this.req) || this.isOfHost) return this.buffer(chunk)
    this.restReceived()
    return false
  }

  private complete(): boolean {
    // Node ends a request over HTTP/2 once more when its stream closes, which may be by a reset after the body.
    if (this.state === 'failed') return false
    if (this.state === 'whole') return this.buffer(null)
    // Node first reports the end of an HTTP/2 stream that was reset, and 'aborted' a moment later.
    if (isCutShort(this)) {
      this.abort(undefined)
      if (this.replay === undefined) closeCutRequest(this)
      return false
    }
    this.state = 'whole'
    this.lateReading?.bodyIsWhole()
    if (this.store === undefined) return this.buffer(null)
    this.store.end(true)
    this.readers.advance()
    return false
  }

  onStored(): void {
    if (this.hasRoom) this.pull()
  }

  onStoreError(error: SluicewayError): void {
    // A read or write that is in progress when the response ends may fail unnoticed.
    if (this.isReadable) this.refuse(error)
  }

  /** True if a stream beside the request reads the body. */
  get hasReaders(): boolean {
    return this.readers.hasOthersThan(this.replay)
  }

  /** True while the application reads the request. */
  private get isReadOn(): boolean {
    if (this.store === undefined) return this.state === 'arriving' && isBeingRead(this.req)
    return this.isReadable && this.readers.readRequest
  }

  private get hasRoom(): boolean {
    return this.isReadable && this.readers.haveRoom(this.store!, this.req.readableHighWaterMark)
  }

  /**
   * Refuses the body:
   *
   *     refuse ─▶ answer: the application's if it reports an error, else ours
   *            ─▶ readers: each gets the error, now or later
   *            ─▶ rest: discarded before the answer, and within bounds after it; then the connection closes
   */
  refuse(error: SluicewayError): void {
    const { res, req, linger } = this
    if (bodyRefused.isObserved) bodyRefused.tell({ req, res, error })
    const rest = this.discardRest()
    const answer = new RefusedAnswer(res, error)
    answer.answerIfNobodyDoes(this.hasReaders || isHeard(req) ? linger.lingerMs : 0)
    this.fail(error)
    rest.closeAfterAnswer()
  }

  /** Ends the body with an error that every reader gets, now or later. */
  private fail(error: SluicewayError): void {
    this.error = error
    this.state = 'failed'
    const replay = this.startReplay()
    replay.fail(error)
    this.readers.fail(error, replay)
    this.readerIsDone(true)
  }

  abort(cause: Error | undefined): void {
    if (!this.isReadable) return
    const cut = { cause, received: this.received }
    if (this.state === 'arriving') [this.cut, this.state] = [cut, 'failed']
    this.failReaders(cut)
  }

  release(): void {
    // A function adapter has the body in memory, and serves late readers too: unless it is kept, nothing is held here.
    if (this.state === 'released' || (this.store === undefined && this.isOfHost)) return
    if (this.nativePush === undefined && this.req.complete) this.state = 'whole'
    const isAnswer = isAnswered(this.res)
    if (wasReset(this.req) && !isAnswer) this.abort(undefined)
    // An active reader may go on after the response, within the limit.
    if (this.isReadOn && isAnswer) {
      this.tap()
      keepListeners(this.req)
      this.lateReading ??= new LateReading(this)
    } else this.stopReading()
  }

  stopReading(): void {
    this.lateReading?.end()
    if (this.state === 'arriving' && !this.isDueToEnd(this.store !== undefined)) this.leaveRest()
    this.state = 'released'
    this.rest?.answered()
    if (this.lateReading?.isCloseDue) this.socket.destroySoon()
    if (this.store === undefined) return
    this.failReaders()
    this.store.clear()
    this.replay?.release()
  }

  private discardRest(): RefusedRest {
    this.tap()
    const rest = openRest(this, this.linger)
    this.rest = rest
    return rest
  }

  private leaveRest(): void {
    const rest = this.discardRest()
    if (this.replay === undefined) this.rest = leaveRest(this, rest)
  }

  loseRest(): void {
    if (this.replay === undefined) this.startReplay().release()
  }

  /**
   * Fails the readers. The error is created only if there is a reader for it: creating it costs as much as everything
   * else here.
   */
  private failReaders(cut?: ErrorDetails): void {
    if (!this.hasReaders) this.readers.forget()
    else this.readers.fail(this.failure ?? sluicewayError('ERR_SLUICEWAY_BODY_ABORTED', cut), this.replay)
  }

  abandon(): void {
    this.lateReading?.end()
    this.cut = { received: this.received }
    this.state = 'released'
    this.readers.forgetRequest()
    this.failReaders()
    this.store?.clear()
  }

  /** Ends and closes an unread request when all of its body has arrived, as Node does: code may wait for that. */
  restReceived(): void {
    if (this.replay !== undefined) return this.replay.closeWaiters.restReceived()
    this.buffer(null)
    if (isHttp2(this.req) && this.req.readableFlowing === null) this.req.resume()
  }
}
