import { type Readable, Transform, type TransformCallback, type Writable } from 'node:stream'
import type getRawBody from 'raw-body'
import { sluicewayError } from '../../shared/errors.js'
import { isError } from '../../shared/is-error.js'
import { bytesOf, readableOf, type Stage } from '../hook-bodies/body-transform.js'
import { UpstreamBody, type BodyOwner } from './upstream-body.js'

/** Creates the error of the response for the error of one of its streams. */
export type ErrorOf = (cause: unknown) => unknown

const unchanged: ErrorOf = (cause) => cause

/**
 * The body of a response on its way through the transforms of a hook:
 *
 *     upstream ── receive ─▶ UpstreamBody ── pipe ─▶ Decoder ── pipe ─▶ transform ─▶ … ─▶ current
 *              ◀─ resume ── ◀──────────────── back-pressure of the streams ──────────────────────
 *
 * A stream that fails, or that closes before its end, ends the whole chain.
 */
export class BodyChain {
  readonly upstream: UpstreamBody
  private readonly owner: BodyOwner
  private readonly streams = new Set<Readable | Writable>()
  private failure: { readonly error: unknown } | undefined
  private closed: Error | undefined
  private loading: Promise<Buffer> | undefined
  /** Ends the wait for a whole body: raw-body does not notice a stream that is closed early. */
  private endLoading: ((error: unknown) => void) | undefined
  private isFlowing = false
  /** The stream that has the body in its present form. */
  current: Readable
  /** True if the bytes are no longer those of the upstream. */
  isChanged = false
  isReplaced = false
  /** The length of the body, if all of it is in memory. */
  length: number | undefined

  constructor(owner: BodyOwner) {
    this.owner = owner
    this.upstream = new UpstreamBody(owner)
    this.current = this.upstream
    this.watch(this.upstream, unchanged)
  }

  /** Pipes the body through one more transform. */
  through({ input, output }: Stage, errorOf: ErrorOf): void {
    this.watch(output, errorOf)
    // If a transform has two streams, the one that is read decides what an error means.
    if ((input as unknown) !== output) this.add(input.on('error', ignore))
    this.isChanged = true
    if (this.closed !== undefined) return this.destroyStreams(this.closed)
    this.current.pipe(input)
    this.current = output
    this.length = undefined
  }

  /** Replaces the body by another one, in any state. */
  replaceBy(body: Readable, errorOf: ErrorOf, length: number | undefined): void {
    this.streams.delete(this.upstream)
    this.destroyStreams(undefined)
    this.upstream.giveUp()
    this.failure = undefined
    this.isChanged = true
    this.isReplaced = true
    this.current = body
    this.length = length
    this.watch(body, errorOf)
    if (this.closed !== undefined) this.destroyStreams(this.closed)
  }

  /** Replaces the body by none. */
  replaceByNone(): void {
    if (!this.isReplaced) this.replaceBy(readableOf(Buffer.alloc(0)), unchanged, undefined)
  }

  /** Reads the whole body, which is replaced by the bytes that were read. */
  load(limit: number): Promise<Buffer> {
    if (this.loading !== undefined) return this.loading
    this.loading = this.readWhole(limit).finally(() => (this.loading = undefined))
    // A hook may never wait for it.
    this.loading.catch(ignore)
    return this.loading
  }

  /** Waits until `load` has read the whole body, if a hook has asked for it. */
  async settled(): Promise<void> {
    await this.loading
  }

  /** True while the whole body is being read. */
  get isLoading(): boolean {
    return this.loading !== undefined
  }

  /** Returns the body in its final form. Throws the error of a stream that has failed before. */
  start(): Readable {
    if (this.failure !== undefined) throw this.failure.error
    this.isFlowing = true
    return this.current
  }

  /** Ends all streams: with an error, if the body has not ended. */
  release(error: Error | undefined): void {
    this.closed = error ?? new Error('the response has ended')
    this.isFlowing = true
    this.destroyStreams(error)
  }

  private async readWhole(limit: number): Promise<Buffer> {
    // Few proxies read whole bodies, and its tables of characters take long to load.
    const { default: readRawBody } = await import('raw-body')
    if (this.closed !== undefined) throw this.closed
    if (this.failure !== undefined) throw this.failure.error
    if (!isOfBytes(this.current)) this.addBytesOnly()
    try {
      const broken = new Promise<never>((_resolve, reject) => (this.endLoading = reject))
      const bytes = await Promise.race([readRawBody(this.current, { limit }), broken])
      this.current = readableOf(bytes)
      this.length = bytes.length
      this.watch(this.current, unchanged)
      return bytes
    } catch (cause) {
      const error = isLimit(cause) ? tooLarge(limit) : cause
      this.fail(error)
      throw this.closed ?? error
    }
  }

  /** Turns strings into bytes: for a string, raw-body throws in an event. */
  private addBytesOnly(): void {
    const stage = bytesOnly()
    const { isChanged } = this
    this.through({ input: stage, output: stage }, unchanged)
    this.isChanged = isChanged
  }

  private add(stream: Readable | Writable): void {
    this.streams.add(stream)
  }

  private watch(stream: Readable, errorOf: ErrorOf): void {
    let hasEnded = false
    this.add(stream)
    stream.on('error', (cause: unknown) => {
      if (this.streams.has(stream)) this.fail(errorOf(cause))
    })
    stream.on('end', () => (hasEnded = true))
    stream.on('close', () => {
      if (!hasEnded && this.streams.has(stream))
        this.fail(errorOf(new Error('a stream was closed before its end')))
    })
  }

  /** Ends the chain. While the hook is running, it may still put another body in its place. */
  private fail(error: unknown): void {
    if (this.closed !== undefined || this.failure !== undefined) return
    this.failure = { error }
    this.endLoading?.(error)
    if (this.isFlowing) this.owner.breakOff(error)
    else this.destroyStreams(isError(error) ? error : undefined)
  }

  private destroyStreams(error: Error | undefined): void {
    const all = [...this.streams]
    this.streams.clear()
    for (const stream of all) stream.destroy?.(error)
  }
}

function isOfBytes(stream: Readable): boolean {
  return !stream.readableObjectMode && stream.readableEncoding === null
}

function bytesOnly(): Transform {
  return new Transform({
    writableObjectMode: true,
    transform(chunk: unknown, _encoding: string, callback: TransformCallback) {
      try {
        callback(null, bytesOf(chunk))
      } catch (error) {
        callback(error as Error)
      }
    },
  })
}

function isLimit(error: unknown): boolean {
  return (error as Partial<getRawBody.RawBodyError>).type === 'entity.too.large'
}

function tooLarge(limit: number): Error {
  return sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
    message: `passthroughProxy: the body is larger than the limit of ${limit} bytes of buffer({ limit })`,
    limit,
  })
}

function ignore(): void {}
