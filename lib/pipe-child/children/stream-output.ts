import type { Readable } from 'node:stream'
import { wrongOption } from '../../shared/error-page.js'
import { ListenerSet } from '../listener-set.js'
import type { ChildOutput } from '../running-child.js'

/** An output that is a stream, whatever state it is in when `pipeChild` is called. */
export class StreamOutput implements ChildOutput {
  readonly ended: Promise<void>
  private readonly stream: Readable
  private readonly listeners = new ListenerSet()
  private fail!: (error: Error) => void

  constructor(stream: Readable) {
    this.stream = stream
    this.ended = new Promise((resolve, reject) => {
      this.fail = reject
      // The stream of a child that was destroyed, or read to its end by others, says nothing of it again.
      if (stream.errored) reject(stream.errored)
      else if (stream.destroyed || stream.readableEnded) resolve()
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

/** `exec` and others set an encoding: the bytes are those of before. */
export function bytesOf(chunk: unknown, encoding: BufferEncoding | null): Buffer | undefined {
  if (typeof chunk === 'string') return Buffer.from(chunk, encoding ?? 'utf8')
  if (!(chunk instanceof Uint8Array)) return undefined
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}
