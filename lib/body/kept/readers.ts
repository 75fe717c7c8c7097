import type { Readable } from 'node:stream'
import type { SluicewayError } from '../../shared/errors.js'
import { isAtTail } from './feed.js'
import type { BodyReader } from './reader.js'
import type { BodyStore } from './store.js'

/** All that read one kept body: the request itself, and streams beside it. */
export class BodyReaders {
  private readonly list: BodyReader[] = []
  /** How far the first of them has ever come, be it one that has left. */
  private furthest = 0

  /** Notes how far a reader has come, before it starts over or leaves. */
  note({ position, readableLength }: BodyReader): void {
    this.furthest = Math.max(this.furthest, position - readableLength)
  }

  join(reader: BodyReader): void {
    this.list.push(reader)
  }

  leave(reader: BodyReader): void {
    const index = this.list.indexOf(reader)
    if (index === -1) return
    this.note(reader)
    this.list.splice(index, 1)
  }

  /** How many bytes they have taken, all together. */
  get taken(): number {
    return this.list.reduce((sum, { position }) => sum + position, 0)
  }

  /** True while the application reads the request. */
  get readRequest(): boolean {
    return this.list.some((reader) => reader.readsRequest)
  }

  /** What the application reads the body through. */
  get streams(): readonly Readable[] {
    return this.list.map(({ stream }) => stream)
  }

  /** Those of them that have had all that has come. */
  streamsAtTail(store: BodyStore): readonly Readable[] {
    return this.list.filter((reader) => isAtTail(reader, store)).map(({ stream }) => stream)
  }

  /** True while one that has had all that has come wants more. */
  isAwaited(store: BodyStore): boolean {
    return this.list.some((reader) => reader.wanting && isAtTail(reader, store))
  }

  /**
   * True while more is welcome: one waits for it, or it would fit into the buffer of a request that is not kept, of
   * `size` bytes. A connection that is paused earlier than in Node does not notice its client leave.
   */
  haveRoom(store: BodyStore, size: number): boolean {
    for (const reader of this.list) this.note(reader)
    return this.isAwaited(store) || store.size - this.furthest < size
  }

  hasOthersThan(one: BodyReader | undefined): boolean {
    return this.list.some((reader) => reader !== one)
  }

  /** Hands all of them a chunk that was just kept. */
  offer(chunk: Buffer): void {
    // A reader that ends meanwhile leaves the list.
    for (const reader of this.list.slice()) reader.offer(chunk)
  }

  advance(): void {
    // A reader that ends while it advances leaves the list.
    for (const reader of this.list.slice()) reader.advance()
  }

  /** Fails all but one, that of the request itself: Node or the replay tells it. Forgets them. */
  fail(error: SluicewayError, except: BodyReader | undefined): void {
    for (const reader of this.list.splice(0)) {
      if (reader !== except) reader.fail(error)
    }
  }

  forget(): void {
    this.list.length = 0
  }
}
