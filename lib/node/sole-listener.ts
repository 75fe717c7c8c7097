import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

import type { ParsedRequest, ReadableState } from './internals.js'
import { isPushUnseen } from './request-methods.js'
import { readableStateOf, sourceOf } from './stream-state.js'
import { untouchedMethods } from './untouched-methods.js'

/** The requests that may have a sole listener. */
export const soleListeners: WeakMap<IncomingMessage, SoleListener> = new WeakMap()

const emitsItself = untouchedMethods(EventEmitter.prototype, { emit: 'handler = events[type]' })
const readsItself = untouchedMethods(Readable.prototype, { read: "debug('read', n)" })

/**
 * Knows which chunks of a request only one listener gets, so that no other code can hold them. Most are emitted while
 * the parser hands them over. One that comes while the request is paused waits in its buffer, where any code may take
 * it: it counts only if `readWaiting` has read it.
 */
export class SoleListener {
  private readonly req: ParsedRequest
  private readonly listener: unknown
  /** The chunk that is being emitted. */
  private passing: Buffer | undefined
  /** The chunk that is waiting, and the state in whose buffer it is. */
  private waiting: Buffer | undefined
  private state: Readonly<ReadableState> | undefined

  constructor(req: ParsedRequest, listener: unknown) {
    this.req = req
    this.listener = listener
    soleListeners.set(req, this)
  }

  /** Called before the parser hands a chunk over. */
  begin(chunk: Buffer): void {
    const state = readableStateOf(this.req)
    this.waiting = undefined
    if (state.length > 0 || !this.isAlone) return
    if (state.flowing === true) this.passing = chunk
    else {
      this.waiting = chunk
      this.state = state
    }
  }

  /** Called when the parser has handed it over. */
  end(): void {
    this.passing = undefined
  }

  /** Tells whether the listener, which has just been called, is the only one that got this chunk. */
  gets(chunk: unknown): boolean {
    const { passing } = this
    this.passing = undefined
    // Other code has read it.
    if (chunk === this.waiting) this.waiting = undefined
    return passing !== undefined && passing === chunk
  }

  /** Reads the chunk that is waiting in a paused request, if no other code can have had it. */
  readWaiting(): void {
    const { req, waiting, state } = this
    this.waiting = undefined
    if (waiting === undefined || state !== readableStateOf(req) || !this.isAlone || !readsItself(req)) return
    if (state.flowing !== false || state.length !== waiting.length) return
    this.passing = waiting
    req.read()
    this.passing = undefined
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
      emitsItself(req) &&
      isPushUnseen(req) &&
      !isKept(req)
    )
  }
}

/** Tells whether the body of a request is kept. */
function isKept(req: IncomingMessage): boolean {
  const source: { readonly store?: object } | undefined = sourceOf(req)
  return source?.store !== undefined
}
