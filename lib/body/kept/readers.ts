import type { Readable } from 'node:stream'
import type { SluicewayError } from '../../shared/errors.js'
import { isAtTail } from './feed.js'
import type { BodyReader } from './reader.js'
import type { BodyStore } from './store.js'

/** The readers of one kept body: the request itself, and the streams beside it. */
export class BodyReaders {
  private list: BodyReader[] = []
  /** The furthest position that any reader has reached, including readers that have left. */
  private furthest = 0

  /** Notes how far a reader has got, before it starts over or leaves. */
  note(reader: BodyReader): void {
    this.furthest = Math.max(this.furthest, takenBy(reader))
  }

  join(reader: BodyReader): void {
    this.list.push(reader)
  }

  leave(reader: BodyReader): void {
    const index = this.list.indexOf(reader)
    if (index === -1) return
    this.note(reader)
    reader.loading = undefined
    this.list.splice(index, 1)
  }

  /** The number of bytes that the readers have taken, all together. */
  get taken(): number {
    return this.list.reduce((sum, reader) => sum + takenBy(reader), 0)
  }

  /** True while the application reads the request. */
  get readRequest(): boolean {
    return this.list.some((reader) => reader.readsRequest)
  }

  /** The streams through which the application reads the body. */
  get streams(): readonly Readable[] {
    return this.list.map(({ stream }) => stream)
  }

  /** Returns the streams of the readers that have had all bytes so far. */
  streamsAtTail(store: BodyStore): readonly Readable[] {
    return this.list.filter((reader) => isAtTail(reader, store)).map(({ stream }) => stream)
  }

  /** True while a reader that has had all bytes so far wants more. */
  isAwaited(store: BodyStore): boolean {
    return this.list.some((reader) => reader.wanting && isAtTail(reader, store))
  }

  /**
   * True while more bytes are welcome: a reader waits for them, or they would fit into the buffer of `size` bytes
   * that a request without bodyCache has. A connection that is paused earlier than by Node does not notice that its
   * client leaves.
   */
  haveRoom(store: BodyStore, size: number): boolean {
    for (const reader of this.list) this.note(reader)
    return this.isAwaited(store) || store.size - this.furthest < size
  }

  hasOthersThan(one: BodyReader | undefined): boolean {
    return this.list.some((reader) => reader !== one)
  }

  /** Hands every reader a chunk that was just kept. */
  offer(chunk: Buffer): void {
    // The list is copied, as a reader that ends leaves it.
    for (const reader of this.list.slice()) reader.offer(chunk)
  }

  advance(): void {
    // The list is copied, as a reader that ends leaves it.
    for (const reader of this.list.slice()) reader.advance()
  }

  /** Fails all readers except that of the request, which Node or the replay tells, and forgets them. */
  fail(error: SluicewayError, except: BodyReader | undefined): void {
    for (const reader of this.list.splice(0)) {
      if (reader !== except) reader.fail(error)
    }
  }

  forget(): void {
    this.list = []
  }

  /** Forgets the readers of the request, and keeps those beside it. */
  forgetRequest(): void {
    this.list = this.list.filter((reader) => !reader.readsRequest)
  }
}

/** Returns how many bytes the application has taken through a reader, without those that its stream still holds. */
function takenBy({ position, readableLength }: BodyReader): number {
  return position - readableLength
}
