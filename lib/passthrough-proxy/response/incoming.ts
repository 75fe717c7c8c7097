import type { Readable } from 'node:stream'

import { byteSize, readOptions, type OptionChecks } from '../../shared/options.js'
import {
  type BodyTransform,
  drop,
  isNodeReadable,
  isWebReadable,
  readableOf,
  type Stage,
  stageOf,
} from '../body-transform.js'
import { containTransform } from '../contained-transform.js'
import { described } from '../described.js'
import { HeaderList } from '../header-list.js'
import { hookError, type BufferOptions, type IncomingResponse, type ReplacementBody } from '../hooks.js'
import { WebOutput } from '../web-streams.js'
import { BodyChain, type ErrorOf } from './body-chain.js'
import { forgetBody, forgetLength } from './body-headers.js'
import { codingsIn, Decoder, undecodable } from './decoders.js'
import type { ResponseHead } from './headers.js'
import type { BodyOwner } from './upstream-body.js'

const bufferChecks: OptionChecks<{ readonly limit: number }> = {
  limit: byteSize('1mb'),
}

/** The response of the upstream as `onResponse` gets it. */
export class Incoming implements IncomingResponse {
  statusCode: number
  statusMessage: string
  readonly headers: HeaderList
  private readonly head: ResponseHead
  private readonly owner: BodyOwner
  private chain: BodyChain | undefined
  private isClosed = false

  constructor(head: ResponseHead, owner: BodyOwner) {
    this.statusCode = head.status
    this.statusMessage = head.reason
    this.headers = new HeaderList(head.headers.lines)
    this.head = head
    this.owner = owner
  }

  /** The body, for which streams are only created when they are needed. */
  get body(): BodyChain {
    this.chain ??= new BodyChain(this.owner)
    return this.chain
  }

  /** True if the body can be passed on as it comes. */
  get isUntouched(): boolean {
    return this.chain === undefined
  }

  /** True if no body follows. */
  get endsWithHead(): boolean {
    return this.head.endsWithHead && this.chain?.isReplaced !== true
  }

  decode(): this {
    this.requireChangeable('decode()')
    const codings = codingsIn(this.headers.getAll('content-encoding'))
    if (codings.length === 0) return this
    this.requireWhole('decode()')
    // The coding that was applied last comes off first.
    for (const coding of codings.toReversed()) this.pipe(decoding(coding), undecodable)
    this.headers.delete('content-encoding')
    forgetLength(this.headers)
    return this
  }

  pipeThrough(transform: BodyTransform): this {
    this.requireChangeable('pipeThrough()')
    this.requireWhole('pipeThrough()')
    this.pipe(stageOf(transform), transformError)
    forgetLength(this.headers)
    return this
  }

  buffer(options?: BufferOptions): Promise<Buffer> {
    const { limit } = readOptions('buffer', options, bufferChecks)
    this.requireOpen('buffer()')
    return this.body.load(limit)
  }

  replace(given: ReplacementBody): this {
    this.requireChangeable('replace()')
    const bytes = bytesIn(given)
    const stream = bytes === undefined ? streamIn(given) : readableOf(bytes)
    this.body.replaceBy(stream, replacementError, bytes?.length)
    forgetBody(this.headers)
    this.head.headers.hasContentLength = bytes !== undefined
    if (bytes !== undefined) this.headers.set('Content-Length', String(bytes.length))
    if (this.statusCode === 206) [this.statusCode, this.statusMessage] = [200, 'OK']
    return this
  }

  /** Ends the time in which the hook can change the response. */
  close(): void {
    this.isClosed = true
  }

  /** Destroys the streams of a response that is not sent. */
  release(error: Error | undefined): void {
    this.close()
    this.chain?.release(error)
  }

  private requireOpen(method: string): void {
    if (this.isClosed) throw new TypeError(`${method} comes too late: onResponse has ended`)
  }

  private requireChangeable(method: string): void {
    this.requireOpen(method)
    if (this.chain?.isLoading === true) throw new TypeError(`${method} must wait for the promise of buffer()`)
  }

  /** Throws for a part of a document: its bytes make no sense without the others. */
  private requireWhole(method: string): void {
    if (this.head.status !== 206 || this.chain?.isReplaced === true) return
    throw new TypeError(
      `${method} cannot change a part of a document (206): delete Range and If-Range in onRequest, or leave such a response as it is`,
    )
  }

  private pipe(stage: Stage, errorOf: ErrorOf): void {
    if (this.endsWithHead) drop(stage)
    else this.body.through(stage, errorOf)
  }
}

function decoding(coding: string): Stage {
  const decoder = new Decoder(coding)
  return { input: decoder, output: decoder }
}

/** Returns the bytes of a body in memory; undefined for a stream. */
function bytesIn(body: ReplacementBody): Buffer | undefined {
  if (body === null) return Buffer.alloc(0)
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return undefined
}

function streamIn(body: ReplacementBody): Readable {
  if (isWebReadable(body)) return new WebOutput(body)
  if (!isNodeReadable(body)) {
    throw new TypeError(`replace takes a stream, a Buffer, a string or null, got ${described(body)}`)
  }
  if (body.destroyed || body.readableEnded) throw new TypeError('replace got a stream that has ended before')
  containTransform(body)
  return body
}

function transformError(cause: unknown): unknown {
  return hookError('a transform of onResponse failed', cause)
}

function replacementError(cause: unknown): unknown {
  return hookError('the body that onResponse gave to replace() failed', cause)
}
