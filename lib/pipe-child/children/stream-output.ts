import type { Readable } from 'node:stream'
import { types } from 'node:util'
import { hasEmittedEnd } from '../../node/streams/state.js'
import { wrongOption } from '../../shared/error-page.js'
import { ListenerSet } from '../listener-set.js'
import type { ChildOutput } from '../running-child.js'

/** An output that is a stream, in any state at the call of `pipeChild`. */
export class StreamOutput implements ChildOutput {
  readonly ended: Promise<void>
  private readonly stream: Readable
  private readonly listeners = new ListenerSet()
  private fail!: (error: Error) => void

  constructor(stream: Readable) {
    this.stream = stream
    this.ended = new Promise((resolve, reject) => {
      this.fail = reject
      // A stream that has ended or was destroyed before the call emits nothing more.
      if (stream.errored) reject(stream.errored)
      else if (stream.destroyed || hasEmittedEnd(stream)) resolve()
      for (const event of ['end', 'close']) this.listeners.on(stream, event, () => resolve())
    })
    this.ended.catch(() => {})
    // Without a listener, an error of a pipe would end the process.
    this.listeners.on(stream, 'error', (error: Error) => this.fail(error))
  }

  read(onChunk: (chunk: Buffer) => void, onEnd: () => void): void {
    this.listeners.on(this.stream, 'data', (chunk: unknown) => {
      const bytes = bytesOf(chunk, this.stream.readableEncoding)
      if (bytes === undefined)
        this.fail(wrongOption('pipeChild: the output of the child holds objects, not bytes'))
      else onChunk(bytes)
    })
    this.listeners.on(this.stream, 'end', onEnd)
  }

  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  close(): void {
    this.stream.destroy()
  }

  removeListeners(): void {
    this.listeners.removeAll()
  }
}

/** Returns the original bytes of a chunk: `exec` and others set an encoding. */
export function bytesOf(chunk: unknown, encoding: BufferEncoding | null): Buffer | undefined {
  if (typeof chunk === 'string') return Buffer.from(chunk, encoding ?? 'utf8')
  if (!types.isUint8Array(chunk)) return undefined
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}
