import type { Readable, Writable } from 'node:stream'
import { byteSize } from '../../shared/option-checks.js'
import { readOptions, type OptionChecks } from '../../shared/options.js'
import { excludesBody } from '../../shared/response-facts.js'
import { showAs } from '../../shared/show-as.js'
import { HeaderList } from '../headers/header-list.js'
import { type BodyTransform, drop, readableOf, type Stage, stageOf } from '../hook-bodies/body-transform.js'
import { bytesIn, streamIn } from '../hook-bodies/given-body.js'
import {
  hookError,
  responseTransformError,
  type BufferOptions,
  type IncomingResponse,
  type ReplacementBody,
} from '../hooks.js'
import { headersReplaced, refuseNewMembers } from '../refuse-new-members.js'
import { BodyChain, type ErrorOf } from './body-chain.js'
import { adaptToChangedBody, adaptToOtherBody } from './body-headers.js'
import { codingsIn, Decoder, undecodable } from './decoders.js'
import type { ResponseHead } from './headers.js'
import type { BodyOwner } from './upstream-body.js'

const bufferChecks: OptionChecks<{ readonly limit: number }> = {
  limit: byteSize('1mb', { unlimited: true }),
}

/** The response of the upstream as `onResponse` gets it. */
export class Incoming implements IncomingResponse {
  statusCode: number
  statusMessage: string
  private readonly list: HeaderList
  private readonly head: ResponseHead
  private readonly owner: BodyOwner
  private chain: BodyChain | undefined
  /** A private name: a hook may freeze this object, which could then never be closed. */
  #isClosed = false
  /**
   * True if the hook has read the body, which a HEAD and a 304 do not have: the body that the hook would send for a
   * GET without conditions is not known.
   */
  private dependsOnGet = false

  constructor(head: ResponseHead, owner: BodyOwner) {
    this.statusCode = head.status
    this.statusMessage = head.reason
    this.list = new HeaderList(head.headers.lines)
    this.head = head
    this.owner = owner
  }

  get headers(): HeaderList {
    return this.list
  }

  set headers(_given: unknown) {
    throw headersReplaced('incoming')
  }

  /** The body, for which streams are only created when they are needed. */
  get bodyChain(): BodyChain {
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
    // Also without a coding: whether the upstream compresses must not decide whether a part may be changed.
    this.requireWhole('decode()')
    const codings = codingsIn(this.headers.getAll('content-encoding'))
    if (codings.length === 0) return this
    // The coding that was applied last comes off first.
    for (const coding of codings.toReversed()) this.passThrough(decoding(coding), undecodable)
    this.headers.delete('content-encoding')
    adaptToChangedBody(this.headers)
    return this
  }

  pipeThrough(transform: BodyTransform): this {
    const stage = stageOf(transform)
    orDrop([stage.input, stage.output], () => {
      this.requireChangeable('pipeThrough()')
      this.requireWhole('pipeThrough()')
    })
    this.passThrough(stage, responseTransformError)
    adaptToChangedBody(this.headers)
    return this
  }

  buffer(options?: BufferOptions): Promise<Buffer> {
    const { limit } = readOptions('buffer', options, bufferChecks)
    this.requireOpen('buffer()')
    if (this.endsWithHead) this.noteEmptyBody()
    return this.bodyChain.load(limit)
  }

  replace(given: ReplacementBody): this {
    const bytes = bytesIn(given)
    const stream = bytes === undefined ? streamIn(given, 'replace') : readableOf(bytes)
    orDrop([stream], () => this.requireChangeable('replace()'))
    this.bodyChain.replaceBy(stream, replacementError, bytes?.length)
    adaptToOtherBody(this.headers)
    const isOfGet = this.dependsOnGet && (this.isHead || this.statusCode === 304)
    const length = isOfGet ? undefined : bytes?.length
    if (length !== undefined) this.headers.set('Content-Length', String(length))
    if (this.statusCode === 206) [this.statusCode, this.statusMessage] = [200, 'OK']
    return this
  }

  /** Ends the time in which the hook can change the response, because it has ended. */
  settle(): void {
    this.close()
    // The client of a 204 or 304 that the hook has made waits for no body, which may be endless.
    if (excludesBody(this.statusCode) && !this.endsWithHead) this.bodyChain.replaceByNone()
  }

  private close(): void {
    this.#isClosed = true
  }

  /** Destroys the streams of a response that is not sent. */
  release(error: Error | undefined): void {
    this.close()
    this.chain?.release(error)
  }

  /**
   * Notes that the hook gets an empty body in place of another. A HEAD may lack the headers that would be different for
   * GET if the hook changes that body (RFC 9110 §9.3.2).
   */
  private noteEmptyBody(): void {
    this.dependsOnGet = true
    if (this.isHead) adaptToOtherBody(this.headers)
  }

  /** True for the response to HEAD, which describes the body of GET. */
  private get isHead(): boolean {
    return this.head.endsWithHead && !excludesBody(this.head.status)
  }

  private requireOpen(method: string): void {
    if (this.#isClosed) throw new TypeError(`${method} comes too late: onResponse has ended`)
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

  /**
   * Pipes the body, if there is one, through a stage. This is not called `pipe`, as hooks in JavaScript know that name
   * from `proxyRes.pipe(res)` of other proxies.
   */
  private passThrough(stage: Stage, errorOf: ErrorOf): void {
    if (this.endsWithHead) drop(stage.input, stage.output)
    else this.bodyChain.through(stage, errorOf)
  }
}

showAs(Incoming, ({ statusCode, statusMessage, headers }) => ({ statusCode, statusMessage, headers }))

refuseNewMembers(
  Incoming,
  (name) =>
    `incoming has no ${JSON.stringify(name)}; a hook may set statusCode, statusMessage and lines of headers, and replace(body)`,
)

/** Runs a check. If it throws, the streams of the hook are destroyed: no other code may know that they are unused. */
function orDrop(streams: readonly (Readable | Writable)[], check: () => void): void {
  try {
    check()
  } catch (error) {
    drop(...streams)
    throw error
  }
}

function decoding(coding: string): Stage {
  const decoder = new Decoder(coding)
  return { input: decoder, output: decoder }
}

function replacementError(cause: unknown): Error {
  return hookError('the body that onResponse gave to replace() failed', cause)
}
