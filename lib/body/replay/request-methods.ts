import type { ParsedRequest } from '../../node/internals.js'
import {
  isMarkedClosed,
  markReplayed,
  NODE,
  putMethods,
  readNatively,
  type ReplayedMethods,
} from '../../node/request/methods.js'
import { sourceOf } from '../../node/streams/state.js'
import type { ToldWaiting } from '../views.js'

/** A replay as the methods of its request see it. */
interface ReplayedRequest {
  /** Serves `_read`. */
  read(): void
  /** Called after `pause()`. */
  paused(): void
  /** Called before `unshift()`. */
  givesBack(): void
  /** Serves `destroy`. */
  destroy(error: Error | undefined): void
  /** Called after all listeners were removed, perhaps those of the replay too. */
  listen(): void
  readonly closeWaiters: {
    /** Called when code has asked for `closed`, and got false. */
    asked(): void
  }
  /** Serves `iterator` and `for await`. */
  iterator(options?: { destroyOnReturn?: boolean }): AsyncIterableIterator<Buffer>
}

/** The methods by which a request is replayed. On a request without a replay they do the same as Node's. */
export const methods: ReplayedMethods = markReplayed({
  _read(this: ParsedRequest, size) {
    const replay = replayOf(this)
    if (replay === undefined) readNatively(this, size)
    else replay.read()
  },
  pause(this: ParsedRequest) {
    NODE.pause.call(this)
    replayOf(this)?.paused()
    return this
  },
  unshift(this: ParsedRequest, chunk, encoding) {
    replayOf(this)?.givesBack()
    NODE.unshift.call(this, chunk, encoding)
  },
  destroy(this: ParsedRequest, error) {
    const replay = replayOf(this)
    if (replay === undefined) return NODE.destroy.call(this, error)
    replay.destroy(error)
    return this
  },
  removeAllListeners(this: ParsedRequest, ...events: [event?: string | symbol]) {
    NODE.removeAllListeners.apply(this, events)
    replayOf(this)?.listen()
    return this
  },
  iterator(this: ParsedRequest, options) {
    return replayOf(this)?.iterator(options) ?? watched(this, NODE.iterator.call(this, options))
  },
  [Symbol.asyncIterator](this: ParsedRequest) {
    return replayOf(this)?.iterator() ?? watched(this, NODE[Symbol.asyncIterator].call(this))
  },
})

/** Gives a request the methods by which it is replayed, unless it has them. */
export function replaceMethods(req: ParsedRequest): void {
  putMethods(req, methods, closed)
}

function closed(this: ParsedRequest): boolean {
  const isClosed = isMarkedClosed(this)
  if (!isClosed) replayOf(this)?.closeWaiters.asked()
  return isClosed
}

function replayOf(req: ParsedRequest): ReplayedRequest | undefined {
  const source = sourceOf(req) as { readonly replay: ReplayedRequest | undefined } | undefined
  return source?.replay
}

/** Returns the iterator, wrapped if the body is watched. */
function watched(req: ParsedRequest, iterator: AsyncIterableIterator<Buffer>): AsyncIterableIterator<Buffer> {
  const source = sourceOf(req) as { readonly waiting: ToldWaiting | undefined } | undefined
  return source?.waiting?.iterate(req, iterator) ?? iterator
}
