import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { timers } from '../../../node/timers.js'
import { hasNoBody } from '../../../shared/response-facts.js'
import { InterimLimit } from '../interim-limit.js'
import { TOO_MANY_INTERIM } from '../messages.js'
import type { Sending } from '../upstream.js'
import { dispatchOptions } from './dispatch-options.js'
import type { Handler, RawPart } from './dispatcher.js'
import { EndableDispatch } from './endable-dispatch.js'
import { cameOverHttp2, failureOf, secondHead, trailersOverHttp2, upgradeOverHttp2 } from './failures.js'
import { HeadTimer } from './head-timer.js'
import { isFramed, phraseBytes, phraseOf, textLines } from './lines.js'
import { expectSocket, PausedEnd, type Sender } from './sockets.js'

const NOTHING = Buffer.alloc(0)

/** One request through a dispatcher: undici's handler on one side, the receiver's connection on the other. */
export class Dispatched extends EndableDispatch implements Handler, Sending, Sender {
  private isPaused = false
  private asserts = false
  private endsWithHead = false
  private resumeConnection: (() => void) | undefined
  private interim: InterimLimit | undefined

  override dispatch(): void {
    if (this.isOver) return
    this.joinQueue()
    try {
      const result: unknown = this.dispatcher.dispatch(dispatchOptions(this.request, this.body), this)
      // Interceptors may be async functions, although they should not.
      if (typeof result === 'object') Promise.resolve(result).catch((cause: unknown) => this.break(cause))
    } catch (cause) {
      this.break(cause)
    }
  }

  pause(): void {
    this.isPaused = true
    if (this.socket === undefined || this.isOver) return
    this.pausedEnd ??= new PausedEnd(this.socket, () => this.resume(), this.asserts)
  }

  resume(): void {
    this.isPaused = false
    this.resumeConnection?.()
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.leaveQueue()
    // This throws instead of aborting, which would cost the connection.
    if (this.isOver) throw new Error('the client has left')
    this.stage = 'connected'
    this.connectedAt = timers.now()
    this.abortConnection = abort
    this.receiver.onSending(this)
    expectSocket(this)
  }

  onSocket(socket: Socket, asserts: boolean): void {
    this.socket = socket
    this.asserts = asserts
  }

  onResponseStarted(): void {
    if (!this.isOver) this.stage = 'heard'
  }

  onHeaders(status: number, raw: readonly RawPart[], resume: () => void, reason: string): boolean {
    this.leaveQueue()
    if (this.isOver) return false
    this.resumeConnection = resume
    this.takeHead(status, reason, textLines(raw))
    return this.isReading
  }

  onData(chunk: Buffer): boolean {
    // When undici 7's parser goes on, it may emit an empty chunk.
    if (chunk.length === 0) return this.isReading
    if (!this.isOver) this.receiver.onBody(chunk)
    this.endRead()
    return this.isReading
  }

  onComplete(trailers: readonly RawPart[] | null): void {
    if (cameOverHttp2(trailers)) this.fail(trailersOverHttp2)
    else this.finish(Array.isArray(trailers) ? textLines(trailers as readonly RawPart[]) : [])
  }

  onUpgrade(status: number, raw: readonly RawPart[] | null, socket: Duplex): void {
    this.takeUpgrade(status, textLines(raw ?? []), socket)
  }

  onError(error: Error): void {
    this.leaveQueue()
    if (this.isOver) return
    // The client has its whole answer, so an error of the connection does not matter.
    if (this.stage === 'answered' && this.endsWithHead) this.finish([])
    else if (this.mayRetry(error)) this.retry()
    else this.fail(failureOf(error, this.stage !== 'queued'))
  }

  protected takeHead(status: number, reason: string | undefined, lines: string[]): void {
    if (this.stage === 'answered') return this.breakOff(secondHead)
    if (status < 200) return this.takeInformation(status, lines)
    this.stage = 'answered'
    this.timer?.end()
    this.endsWithHead = hasNoBody(this.request.method, status)
    this.isUnframed = !this.endsWithHead && !isFramed(lines)
    this.receiver.onHead(status, this.phraseFor(status, reason), lines)
    // undici may emit a part of the body in this tick, and does not report the end of a read.
    timers.nextTick(endRead, this)
  }

  /** Returns the phrase. HTTP/2 has none, and some dispatchers lose it; an HTTP/1.1 upstream may send an empty one. */
  private phraseFor(status: number, reason: string | undefined): string {
    const isHttp2 = (this.socket as Partial<TLSSocket> | undefined)?.alpnProtocol === 'h2'
    const isAbsent = reason === undefined || (reason === '' && isHttp2)
    return isAbsent ? phraseOf(status) : phraseBytes(reason)
  }

  endRead(): void {
    if (!this.isOver) this.receiver.onReadOver()
  }

  protected takeUpgrade(status: number, lines: string[], socket: Duplex): void {
    this.leaveQueue()
    if (this.isOver || status !== 101) socket.destroy()
    if (this.isOver) return
    if (status !== 101) return this.fail(upgradeOverHttp2())
    this.end()
    this.receiver.onUpgraded(lines, socket, NOTHING)
  }

  private takeInformation(status: number, lines: string[]): void {
    const { headersTimeoutMs } = this.request
    this.stage = 'heard'
    this.timer ??= new HeadTimer(this, headersTimeoutMs, timers.now() - this.connectedAt)
    this.interim ??= new InterimLimit()
    if (this.interim.count(lines)) this.receiver.onInformation(status, lines)
    else this.breakOff({ kind: 'malformed', message: TOO_MANY_INTERIM, maybeHeard: true, cause: undefined })
  }

  private get isReading(): boolean {
    return !this.isPaused && !this.isOver
  }
}

function endRead(dispatched: Dispatched): void {
  dispatched.endRead()
}
