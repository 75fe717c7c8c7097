import type { ServerResponse } from 'node:http'
import { finished, type Readable, type Writable } from 'node:stream'
import { timers } from '../node/timers.js'
import { wrongOption } from '../shared/error-page.js'
import { bytesOf } from './children/stream-output.js'
import { ListenerSet } from './listener-set.js'
import { awaitRest } from './rest-of-request.js'

/** The exchange that an input belongs to. */
interface InputOwner {
  /** The response to the request that is the input; undefined for any other stream. */
  readonly responseToIt: ServerResponse | undefined
  /** Tells whether the response is over, and its child is being ended. */
  readonly isOver: () => boolean
}

/**
 * Passes a stream, such as a request, on to a child that may stop reading at any time. It is not a pipe: `bodyCache`
 * destroys the destinations of a body that fails, and a child would take that for the end of its input.
 */
export class PipedInput {
  private readonly source: Readable
  private readonly stdin: Writable
  private readonly owner: InputOwner
  private readonly listeners = new ListenerSet()
  private fail!: (error: Error) => void

  constructor(source: Readable, stdin: Writable, owner: InputOwner) {
    this.source = source
    this.stdin = stdin
    this.owner = owner
  }

  /** Calls `onFailure` if the source fails or is cut, because the child has then read only a part. */
  start(onFailure: (error: Error) => void): void {
    this.fail = onFailure
    if (this.owner.responseToIt !== undefined) awaitRest(this.owner.responseToIt)
    const stopWatching = finished(this.source, { writable: false }, (error) => {
      if (error) onFailure(error)
    })
    this.listeners.addRemoval(stopWatching)
    this.listeners.on(this.stdin, 'close', () => this.stop())
    this.pass()
    // Read now, and not in the next tick: `100 Continue` cannot be sent after the head.
    this.source.read(0)
    if (this.stdin.destroyed) this.stop()
  }

  private pass(): void {
    const { source, stdin, listeners } = this
    listeners.on(source, 'data', (chunk: unknown) => this.write(chunk))
    listeners.on(stdin, 'drain', () => source.resume())
    // A stream of HTTP/2 ends in the turn in which its client resets it.
    listeners.on(source, 'end', () => timers.setImmediate(() => this.endStdin()))
    if (stdin.writableNeedDrain) source.pause()
    else source.resume()
  }

  /**
   * Discards the rest of a request that the child does not read, such as `head -1`: many clients read the response only
   * after they have sent the whole body. Any other stream is destroyed.
   */
  stop(): void {
    const { source, listeners, owner } = this
    listeners.removeAll()
    if (owner.responseToIt !== undefined) source.resume()
    // Without a listener, an error of closing it would end the process.
    else if (!source.destroyed) source.on('error', ignore).destroy()
  }

  private write(chunk: unknown): void {
    const bytes = bytesOf(chunk, this.source.readableEncoding)
    if (bytes === undefined)
      this.fail(wrongOption('pipeChild: the stream of option "stdin" holds objects, not bytes'))
    else if (this.stdin.writable && !this.stdin.write(bytes)) this.source.pause()
  }

  /**
   * Ends the input of the child, unless the response is over: over HTTP/2, a request that its client has cut ends like
   * a whole one, and a child that has not ended yet would take its part for the whole.
   */
  private endStdin(): void {
    if (!this.owner.isOver() && !this.stdin.destroyed) this.stdin.end()
  }
}

function ignore(): void {}
