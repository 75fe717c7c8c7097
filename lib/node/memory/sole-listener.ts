import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { ParsedRequest } from '../internals.js'
import { isPushUnseen } from '../request/methods.js'
import { readableStateOf, sourceOf } from '../streams/state.js'
import { untouchedMethods } from '../untouched-methods.js'

/** The requests that may have a sole listener. */
export const soleListeners: WeakMap<IncomingMessage, SoleListener> = new WeakMap()

const hasNodesEmit = untouchedMethods(EventEmitter.prototype, { emit: 'handler = events[type]' })
const hasNodesRead = untouchedMethods(Readable.prototype, { read: "debug('read', n)" })

/**
 * Knows which chunks of a request only one listener gets, so that no other code can hold them. Most are emitted while
 * the parser hands them over. One that comes while the request is paused waits in its buffer, where any code may take
 * it: it counts only if `readNext` has read it.
 */
export class SoleListener {
  private readonly req: ParsedRequest
  private readonly listener: unknown
  /** The chunk that is being emitted. */
  private passing: Buffer | undefined
  /** The chunks that are waiting, which are all that the request holds. */
  private waiting: Buffer[] = []

  constructor(req: ParsedRequest, listener: unknown) {
    this.req = req
    this.listener = listener
    soleListeners.set(req, this)
  }

  /** Called before the parser hands a chunk over. */
  begin(chunk: Buffer): void {
    const { length, flowing } = readableStateOf(this.req)
    if (length !== lengthOf(this.waiting) || !this.isAlone) this.waiting = []
    else if (flowing !== true) this.waiting.push(chunk)
    else if (length === 0) this.passing = chunk
  }

  /** Called when the parser has handed it over. */
  end(): void {
    this.passing = undefined
  }

  /** Tells whether the listener, which has just been called, is the only one that got this chunk. */
  gets(chunk: unknown): boolean {
    const { passing } = this
    this.passing = undefined
    // Other code that has read it may put it back.
    if (this.waiting.includes(chunk as Buffer)) this.waiting = []
    return passing !== undefined && passing === chunk
  }

  /**
   * Reads the next waiting chunk of a paused request. Returns false if there is none, or if other code may have had it.
   */
  readNext(): boolean {
    const { req, waiting } = this
    const [next] = waiting
    const isOwn = lengthOf(waiting) === readableStateOf(req).length && this.isAlone && hasNodesRead(req)
    // Node would enlarge the buffer for a read that is longer than it.
    const isReadable = waiting.length === 1 || (next?.length ?? 0) <= req.readableHighWaterMark
    this.waiting = isOwn && isReadable ? waiting.slice(1) : []
    if (next === undefined || !isOwn || !isReadable) return false
    this.passing = next
    req.read(waiting.length === 1 ? undefined : next.length)
    this.passing = undefined
    return true
  }

  leave(): void {
    soleListeners.delete(this.req)
  }

  /** True if no other code gets the chunks on their way from the parser. */
  private get isAlone(): boolean {
    const { req } = this
    const listeners = req.rawListeners('data')
    return (
      listeners.length === 1 &&
      listeners[0] === this.listener &&
      req.listenerCount('readable') === 0 &&
      hasNodesEmit(req) &&
      isPushUnseen(req) &&
      !isKept(req)
    )
  }
}

function lengthOf(chunks: readonly Buffer[]): number {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  return length
}

/** Tells whether the body of a request is kept. */
function isKept(req: IncomingMessage): boolean {
  const source: { readonly store?: object } | undefined = sourceOf(req)
  return source?.store !== undefined
}
