import type { Readable } from 'node:stream'
import type { OutgoingResponse, ParsedRequest, ServerSocket } from '../node/internals.js'
import type { SluicewayError } from '../shared/errors.js'
import type { BodyReader } from './kept/reader.js'
import type { BodyStore } from './kept/store.js'

/*
 * How the parts of a body see its source (source.ts), which owns them: each part through an interface of its own. No
 * part imports the source or writes its fields.
 */

/**
 * The state of a body:
 * - `arriving`: more bytes may come.
 * - `whole`: the client has sent all of it, and all of it was accepted.
 * - `failed`: it passed a limit or the client left; every reader gets `failure`.
 * - `released`: the response has ended and nothing is kept; every reader gets a fresh error that says so.
 *
 *     arriving ── end ──▶ whole ── its file fails ──▶ failed
 *        └── limit, full disk, client gone ────────────▲
 *
 *     any of them ── response over, and no reader active ──▶ released
 */
export type BodyState = 'arriving' | 'whole' | 'failed' | 'released'

/** The exchange to which a body belongs. */
export interface BodyExchange {
  readonly req: ParsedRequest
  readonly res: OutgoingResponse
  readonly socket: ServerSocket
}

/** The body as a reader sees it. */
export interface ReadableBody {
  readonly state: BodyState
  /** True while readers get bytes: the body has neither failed nor been released. */
  readonly isReadable: boolean
  /** The reason why readers get no bytes; undefined while they do. */
  readonly failure: SluicewayError | undefined
  readonly store: BodyStore | undefined
  readonly waiting: ToldWaiting | undefined
  /** Asks the client for more bytes. */
  pull(): void
  readonly readers: {
    join(reader: BodyReader): void
    /** Notes how far a reader has got, before it starts over. */
    note(reader: BodyReader): void
  }
  /** Called when a reader is done for good. */
  leave(reader: BodyReader): void
}

/** The body as the replay of its request sees it. */
export interface ReplayedBody extends ReadableBody, BodyExchange {
  /** True while a host that was asked for bytes has not delivered any. */
  hostWasAsked: boolean
  /** Called when a reader is done for good, or has only left the request: after the response it may come back. */
  readerIsDone(isForGood: boolean): void
  /** Notes that the body is complete: it was read before this package saw it. */
  noteComplete(): void
  /** Notes that the client left before the end of the body. */
  abort(cause: Error | undefined): void
  /** Releases everything, as the exchange is over. */
  release(): void
}

/** A body whose rest is discarded while its connection closes. */
export interface DiscardedBody extends BodyExchange {
  readonly state: BodyState
  /** The announced length, or NaN. */
  readonly length: number
  /** Called when the client has sent all of the rest. */
  restReceived(): void
}

/** A body that was refused, or whose request has been answered, as its rest sees it. */
export interface AnsweredBody extends DiscardedBody {
  /** Makes every later reader of the request fail, unless the body is kept or has failed, which they are told anyway. */
  loseRest(): void
}

/** Observes a body as it comes, without influencing it; see `watchBody`. */
export interface BodyWatcher {
  /** Called when the client has sent `count` more bytes. */
  bytesReceived(count: number): void
  /**
   * Called when a reader begins to wait for the client, and when none waits any more: it got its bytes, or has
   * paused. The time that the process itself takes, to hand over a chunk or to store it, is not waiting.
   */
  readersWait(areWaiting: boolean): void
}

/** Tells the watchers of a body, as its readers see it. */
export interface ToldWaiting {
  /** Checks whether a reader waits now. */
  note(): void
  /** Also watches the reader of one more stream of the body. */
  follow(stream: Readable): void
  /** Also watches an iterator over one of these streams; returns the iterator to use instead. */
  iterate(stream: Readable, iterator: AsyncIterable<Buffer>): AsyncIterableIterator<Buffer>
}

/** The body as `Waiting` sees it, the class that tells its watchers. */
export interface WatchedBody extends BodyExchange {
  /** Makes the bytes pass through the source, which reports them. */
  tap(): unknown
  readonly state: BodyState
  readonly store: BodyStore | undefined
  waiting: ToldWaiting | undefined
  readonly readers: {
    readonly streams: readonly Readable[]
    streamsAtTail(store: BodyStore): readonly Readable[]
  }
}
