import type { Readable } from 'node:stream'
import { awaitsContinue } from '../node/request/awaits-continue.js'
import { putIterators } from '../node/request/methods.js'
import { timers } from '../node/timers.js'
import { methods } from './replay/request-methods.js'
import type { BodyWatcher, ToldWaiting, WatchedBody } from './views.js'

/** Tells `watcher` of the chunks of a body, and of readers that wait for its client. */
export function watchBody(body: WatchedBody & { waiting: Waiting | undefined }, watcher: BodyWatcher): void {
  body.tap()
  body.waiting ??= new Waiting(body)
  body.waiting.add(watcher)
}

/**
 * Tells the watchers of a body when bytes come, and while a reader waits for the client:
 *
 *     'resume', a call of next() on an iterator, a chunk handed over ─▶ note ─▶ waiting
 *     'pause', a chunk that comes, a file to be written first, the end ─▶ note ─▶ not waiting
 *
 * A stream that flows waits, with or without a listener, as code may wait for its end. A listener for 'readable'
 * waits while the buffer is empty, unless it belongs to an iterator whose loop is busy with a chunk.
 */
export class Waiting implements ToldWaiting {
  private readonly body: WatchedBody
  private readonly watchers: BodyWatcher[] = []
  private areWaiting = false
  /** The number of iterators of a stream that have given a chunk and were not asked for the next one. */
  private readonly busy = new Map<Readable, number>()

  constructor(body: WatchedBody) {
    const { req, res, readers } = body
    this.body = body
    putIterators(req, methods)
    this.follow(req)
    for (const stream of readers.streams) if (stream !== req) this.follow(stream)
    // A compressor may have replaced `on`.
    for (const event of ['socket', 'close']) res.addListener(event, this.note)
  }

  add(watcher: BodyWatcher): void {
    this.watchers.push(watcher)
    if (this.areWaiting) watcher.readersWait(true)
    else this.note()
  }

  follow(stream: Readable): void {
    stream.on('pause', this.note).on('resume', this.note).on('newListener', this.onListener)
  }

  bytesReceived(count: number): void {
    this.tell(false)
    for (const watcher of this.watchers) watcher.bytesReceived(count)
    // A listener for 'readable' empties the buffer in its own turn, and no event reports that.
    if (this.body.req.listenerCount('readable') > 0) timers.setImmediate(this.note)
  }

  readonly note = (): void => {
    this.tell(this.isAwaited)
  }

  /** Checks later: the listener has not been added yet, and has not emptied the buffer. */
  private readonly onListener = (event: string | symbol): void => {
    if (event === 'readable') timers.setImmediate(this.note)
  }

  async *iterate(stream: Readable, iterator: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of iterator) {
      this.count(stream, 1)
      try {
        yield chunk
      } finally {
        this.count(stream, -1)
      }
    }
  }

  private count(stream: Readable, change: 1 | -1): void {
    this.busy.set(stream, this.busyWith(stream) + change)
    this.note()
  }

  private busyWith(stream: Readable): number {
    return this.busy.get(stream) ?? 0
  }

  private tell(areWaiting: boolean): void {
    if (areWaiting === this.areWaiting) return
    this.areWaiting = areWaiting
    for (const watcher of this.watchers) watcher.readersWait(areWaiting)
  }

  private get isAwaited(): boolean {
    const { req, res, state, store, readers } = this.body
    if (state !== 'arriving' || store?.isWriting === true || awaitsContinue(req)) return false
    // Other answers are sent first, and a `100 Continue` waits for them.
    if (res.socket === null && !res.writableFinished) return false
    const streams = store === undefined ? [req] : readers.streamsAtTail(store)
    return streams.some((stream) => !stream.destroyed && this.isHungry(stream))
  }

  private isHungry(stream: Readable): boolean {
    if (stream.readableFlowing === true) return true
    return stream.readableLength === 0 && stream.listenerCount('readable') > this.busyWith(stream)
  }
}
