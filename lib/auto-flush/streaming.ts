import type { ServerResponse } from 'node:http'
import { contain } from '../node/contained.js'
import { applicationResponseOf, commonResponseOf } from '../node/express.js'
import { PROVIDED, STREAMING } from '../node/keys.js'
import { awaitsContinue } from '../node/request/awaits-continue.js'
import { hasOtherFlush, outermost } from '../node/response/methods.js'
import { isHeadWritten, sendHeadEarly } from '../node/response/send-head.js'
import { timers } from '../node/timers.js'
import { flushStarted } from '../shared/channels.js'
import { type Compressor, findCompressor, flushCompressor, watchCompressor } from './compressor.js'
import { FlushSchedule } from './flush-schedule.js'
import { Heartbeat } from './heartbeat.js'
import { type AutoFlushSettings, type Coalesce, hasPassed } from './mount-settings.js'

interface StreamedResponse extends ServerResponse {
  [STREAMING]?: Streaming
}

/** The state of one streamed response, from its head on. */
interface Streaming {
  readonly settings: AutoFlushSettings
  /** Flushes the compressor; undefined without compression, as Node then sends each write by itself. */
  readonly schedule?: FlushSchedule | undefined
  readonly heartbeat?: Heartbeat | undefined
}

/** Starts flushing; called right after the head of a streamed response has been written. */
export function startStreaming(
  res: StreamedResponse,
  settings: AutoFlushSettings,
  takesComments: boolean,
): void {
  const { heartbeatMs } = settings
  const schedule = scheduleFor(res, settings)
  const heartbeat = heartbeatMs > 0 && takesComments ? new Heartbeat(res, heartbeatMs) : undefined
  res[STREAMING] = { settings, schedule, heartbeat }
  // Node holds a head back until the first write of the body, which may come much later.
  timers.setImmediate(sendHeadNow, res)
  if (flushStarted.isObserved) flushStarted.tell({ req: res.req, res, isCompressed: schedule !== undefined })
}

/** Leaves the head of a client that waits for `100 Continue` to Node, as the 100 could not be sent after it. */
function sendHeadNow(res: ServerResponse): void {
  if (!awaitsContinue(res.req)) contain(res, () => sendHeadEarly(res))
}

/** Finds the compressor of a response. An unknown one can only be flushed through its own `res.flush`. */
function scheduleFor(res: StreamedResponse, { coalesce }: AutoFlushSettings): FlushSchedule | undefined {
  if (!hasOtherFlush(res)) return undefined
  const compressor = findCompressor(res)
  if (compressor !== undefined) return scheduleForKnown(res, compressor, coalesce)
  return res.hasHeader('content-encoding') ? scheduleForUnknown(res, coalesce) : undefined
}

function scheduleForKnown(res: StreamedResponse, compressor: Compressor, coalesce: Coalesce): FlushSchedule {
  const schedule = new FlushSchedule(coalesce, () => contain(res, () => flushCompressor(compressor)))
  watchCompressor(compressor, () => schedule.wrote())
  // Handlers that call `res.flush()` after each write get a flush that preserves compression.
  res.flush = flush
  return schedule
}

function scheduleForUnknown(res: StreamedResponse, coalesce: Coalesce): FlushSchedule {
  const schedule = new FlushSchedule(coalesce, () => {
    if (!res.destroyed && !res.writableEnded) contain(res, () => res.flush())
  })
  // The writes of an unknown compressor cannot be watched, so `res.write` is.
  watchWrites(res)
  schedule.wrote() // The write that made the head is still under way.
  return schedule
}

/** Watches `res.write` itself, for the work to be done after each write of a handler. */
export const watchWrites: (res: ServerResponse) => void = outermost(
  'write',
  hasPassed,
  (res: StreamedResponse, write, args) => {
    const wasCorked = isCorked(res)
    const result = write.apply(res, args)
    const streaming = res[STREAMING]
    if (streaming === undefined) return result
    streaming.heartbeat?.wrote(args[0], args[1])
    streaming.schedule?.wrote()
    // Node corks the socket until the tick is over. If it was corked before, the cork belongs to the handler.
    const drained = streaming.settings.sync && !wasCorked && uncork(res)
    return drained || result
  },
)

/** Tells whether a response is corked, or still without a socket. Over HTTP/2, `cork()` reaches only its own stream. */
function isCorked(res: ServerResponse): boolean {
  return res.socket?.writableCorked !== 0 || res.writableCorked > 0
}

/**
 * Uncorks the response. Returns true if that has drained it: from Node 26 on 'drain' is emitted in here, before the
 * handler can listen for it, so `write` must not return false.
 */
function uncork(res: ServerResponse): boolean {
  const neededDrain = res.writableNeedDrain
  res.socket?.uncork()
  // From Node 26 on the response is corked as well; earlier versions count only the socket's corks.
  if (res.writableCorked > 0) res.uncork()
  return neededDrain && !res.writableNeedDrain
}

/** Gives a response a `flush` if it has none, on the prototype of all responses of Express if it is one of them. */
export function provideFlush(res: ServerResponse): void {
  if (typeof res.flush === 'function') return
  const application = applicationResponseOf(res)
  const owner = application === undefined ? res : commonResponseOf(application)
  Object.defineProperty(owner, 'flush', { value: flush, configurable: true, writable: true })
}

/** Sends everything written so far, including the head; sends nothing before the head has been written. */
function flush(this: StreamedResponse): void {
  if (!isHeadWritten(this) || this.writableEnded) return
  this[STREAMING]?.schedule?.now()
  sendHeadEarly(this)
}
Object.defineProperty(flush, PROVIDED, { value: true })
