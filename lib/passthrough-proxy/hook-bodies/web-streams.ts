import { Readable, Writable } from 'node:stream'
import { described } from '../../shared/described.js'
import { asError } from './contained-transform.js'

interface WebReader {
  read(): Promise<{ readonly done: boolean; readonly value?: unknown }>
  cancel(reason?: unknown): Promise<unknown>
}

interface WebWriter {
  write(chunk: unknown): Promise<unknown>
  close(): Promise<unknown>
  abort(reason?: unknown): Promise<unknown>
}

/** The part of a WHATWG ReadableStream that is used here: every implementation and type declaration has it. */
export interface WebReadable {
  getReader(): WebReader
}

/** The part of a WHATWG WritableStream that is used here. */
export interface WebWritable {
  getWriter(): WebWriter
}

/*
 * Node's own `Readable.fromWeb` treats a chunk that is null as the end, so half a body would look whole. Its
 * `Duplex.fromWeb` treats `controller.terminate()`, an orderly end, as an error.
 */

/** Reads a web stream. Chunks pass as they are: another web stream may follow that takes objects. */
export class WebOutput extends Readable {
  private readonly reader: WebReader

  constructor(stream: WebReadable) {
    super({ objectMode: true, highWaterMark: 1 })
    this.reader = stream.getReader()
  }

  override _read(): void {
    this.reader.read().then(
      ({ done, value }) => this.deliver(done, value),
      (error: unknown) => this.destroy(asError(error)),
    )
  }

  override _destroy(reason: Error | null, callback: (error?: Error | null) => void): void {
    this.reader.cancel(reason).catch(ignore)
    callback(reason)
  }

  private deliver(done: boolean, value: unknown): void {
    if (done) this.push(null)
    else if (value === null || value === undefined)
      this.destroy(new TypeError(`a chunk is ${described(value)}`))
    else this.push(value)
  }
}

/** Writes to a web stream. The readable side handles its errors. */
export class WebInput extends Writable {
  private readonly writer: WebWriter

  constructor(stream: WebWritable) {
    super({ objectMode: true, highWaterMark: 1 })
    this.writer = stream.getWriter()
  }

  override _write(chunk: unknown, _encoding: string, callback: (error?: Error | null) => void): void {
    settle(this.writer.write(chunk), callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    settle(this.writer.close(), callback)
  }

  override _destroy(reason: Error | null, callback: (error?: Error | null) => void): void {
    this.writer.abort(reason).catch(ignore)
    callback(reason)
  }
}

function settle(promise: Promise<unknown>, callback: (error?: Error | null) => void): void {
  promise.then(
    () => callback(),
    (error: unknown) => callback(asError(error)),
  )
}

function ignore(): void {}
