import type { Readable } from 'node:stream'
import type { OutgoingResponse, ParsedRequest, ServerSocket } from '../node/internals.js'
import type { SluicewayError } from '../shared/errors.js'
import type { BodyReader } from './kept/reader.js'
import type { BodyStore } from './kept/store.js'

/*
 * How the parts of a body see its source (source.ts), which owns them: each through the interface that is made for it.
 * None of them imports the source, and none writes a field of it.
 */

/**
 * - `arriving`: more bytes may come.
 * - `whole`: the client has sent all of it, and all of it was accepted.
 * - `failed`: it passed a limit or the client went away; every reader gets `failure`.
 * - `released`: the response has ended and nothing is kept; every reader gets a fresh error that says so.
 *
 *     arriving ── end ──▶ whole ── its file fails ──▶ failed
 *        └── limit, full disk, client gone ────────────▲
 *
 *     any of them ── response over, and no reader at work ──▶ released
 */
export type BodyState = 'arriving' | 'whole' | 'failed' | 'released'

/** The exchange that a body belongs to. */
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
  /** Why readers get no bytes; undefined while they do. */
  readonly failure: SluicewayError | undefined
  readonly store: BodyStore | undefined
  readonly waiting: ToldWaiting | undefined
  /** Asks the client for more. */
  pull(): void
  readonly readers: {
    join(reader: BodyReader): void
    /** Notes how far a reader has come, before it starts over. */
    note(reader: BodyReader): void
  }
  /** A reader is done for good. */
  leave(reader: BodyReader): void
}

/** The body as the replay of its request sees it. */
export interface ReplayedBody extends ReadableBody, BodyExchange {
  /** A reader is done for good, or has only left the request: behind the response, that one may come back. */
  readerIsDone(isForGood: boolean): void
  /** All of the body was read before us: nothing more comes. */
  hasComeWhole(): void
  /** The client went away in the middle of the body. */
  abort(cause: Error | undefined): void
  /** Releases everything: the exchange is over. */
  release(): void
}

/** The body as what is left of it sees it, once it was refused or its request has been answered. */
export interface AnsweredBody extends BodyExchange {
  readonly state: BodyState
  /** The client has sent all that was left. */
  restHasCome(): void
}

/** Watches how a body comes, without a part in it; given to `BodySource.watch`. */
export interface BodyWatcher {
  /** The client has sent so many bytes more. */
  bytesCame(count: number): void
  /**
   * A reader begins to wait for the client, or none does any more: it has what it waited for, or has paused. Time that
   * the process itself takes, to hand over a chunk or to store it, is not waiting.
   */
  readersWait(areWaiting: boolean): void
}

/** What tells the watchers of a body, as its readers see it; there is one where the body is watched. */
export interface ToldWaiting {
  /** Looks whether a reader waits now. */
  note(): void
  /** Hears of the reader of one more stream of the body. */
  follow(stream: Readable): void
  /** Hears of an iterator of such a stream, and returns what takes its place. */
  iterate(stream: Readable, iterator: AsyncIterable<Buffer>): AsyncIterableIterator<Buffer>
}

/** The body as that which tells its watchers sees it. */
export interface WatchedBody extends BodyExchange {
  readonly state: BodyState
  readonly store: BodyStore | undefined
  waiting: ToldWaiting | undefined
  readonly readers: {
    readonly streams: readonly Readable[]
    streamsAtTail(store: BodyStore): readonly Readable[]
  }
}
