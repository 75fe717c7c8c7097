import { Readable } from 'node:stream'
import type { SluicewayError } from '../../shared/errors.js'
import type { ReadableBody } from '../views.js'
import { feed, offer } from './feed.js'
import type { BodyReader } from './reader.js'

/** Reads a kept body from its start, separately from every other reader. */
export class BodyStream extends Readable implements BodyReader {
  position = 0
  wanting = false
  ended = false
  loading: number | undefined = undefined
  private readonly body: ReadableBody

  constructor(body: ReadableBody) {
    super()
    this.body = body
    body.readers.join(this)
    body.waiting?.follow(this)
  }

  get stream(): Readable {
    return this
  }

  get readsRequest(): boolean {
    return false
  }

  get readsAhead(): boolean {
    return false
  }

  override _read(): void {
    const { body } = this
    const { failure } = body
    if (failure !== undefined) {
      this.fail(failure)
      return
    }
    this.wanting = true
    if (feed(this, body)) body.pull()
  }

  offer(chunk: Buffer): void {
    offer(this, chunk, this.body)
  }

  advance(): void {
    feed(this, this.body)
  }

  accept(chunk: Buffer | null): boolean {
    return this.push(chunk)
  }

  // The types are those of Node's own declarations, which differ between versions of @types/node.
  override iterator(options?: { destroyOnReturn?: boolean }): ReturnType<Readable['iterator']> {
    const iterator = super.iterator(options)
    return this.body.waiting?.iterate(this, iterator) ?? iterator
  }

  override [Symbol.asyncIterator](): ReturnType<Readable[typeof Symbol.asyncIterator]> {
    return this.iterator()
  }

  fail(error: SluicewayError): void {
    this.destroy(error)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.body.leave(this)
    // As a request does: without a listener the stream ends quietly instead of with an uncaught exception.
    callback(this.listenerCount('error') > 0 ? error : null)
  }
}
