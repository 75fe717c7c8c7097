import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { buffer as readAll } from 'node:stream/consumers'
import type { ReadableStream } from 'node:stream/web'
import type { BodySource } from '../shared/body-source.js'
import { type Decoder, decoderFor } from './decompress.js'
import { parseForm, parseFormData, parseJson, type PrototypePoisoning } from './parsers.js'
import { type StandardSchema, validate } from './standard-schema.js'
import { decodeText, encodingOf } from './text.js'

/**
 * The body of one request, in the form a handler wants.
 *
 * Every method can be called any number of times, in any order, also while the body is still arriving, and gives fresh
 * values each time. All of them reject with the body's own error: 413 past a limit, 400 'request.aborted' when the
 * client went away, 500 'ERR_SLUICEWAY_BODY_RELEASED' once the response has ended.
 */
export interface BodyCache {
  /** True once the client has sent all of the body. */
  readonly complete: boolean
  /** Bytes received so far, as they came over the wire. */
  readonly size: number
  /** Reads the body as it came over the wire: what signatures are made of. */
  buffer(): Promise<Buffer>
  /**
   * Reads the body as text, in the charset that Content-Type names, or else UTF-8.
   * Rejects with 415 for a charset or content coding that is not known.
   */
  text(): Promise<string>
  /**
   * Parses the body as JSON, whatever its Content-Type says. An empty body is undefined.
   * Rejects with 400 'entity.parse.failed' where it is no JSON, or has a key that would poison a prototype (see the
   * option `prototypePoisoning`); with a schema also where that finds it invalid (400, `issues`).
   */
  json(): Promise<unknown>
  json<Output>(schema: StandardSchema<Output>): Promise<Output>
  /**
   * Parses the body as a form, nested keys included (`a[b]=c`), at most 1000 parameters and 32 levels.
   * Rejects with 400 past those; with a schema also where that finds it invalid (400, `issues`).
   */
  urlencoded(): Promise<Record<string, unknown>>
  urlencoded<Output>(schema: StandardSchema<Output>): Promise<Output>
  /**
   * Parses a multipart or urlencoded form, files included, all in memory.
   * Rejects with 400 where it is malformed or has more than 1000 parts.
   */
  formData(): Promise<FormData>
  /** Reads the body as a Blob of the request's Content-Type. */
  blob(): Promise<Blob>
  /**
   * Opens a stream of the body as it came over the wire, from its start. The caller owns the stream, but not its
   * chunks: other readers get the same ones, so nobody may write into them.
   */
  stream(): Readable
  /** Opens a WHATWG stream of the body as it came over the wire. The caller owns it. */
  web(): ReadableStream<Uint8Array>
}

/** How the accessors decode and parse. */
export interface AccessorSettings {
  readonly inflateLimit: number
  readonly prototypePoisoning: PrototypePoisoning
}

/** Reads the body of `req` from its source; without one the request has no body. */
export class KeptBody implements BodyCache {
  readonly #req: IncomingMessage
  readonly #source: BodySource | undefined
  readonly #settings: AccessorSettings
  #decompressed: Promise<Buffer> | undefined

  constructor(req: IncomingMessage, source: BodySource | undefined, settings: AccessorSettings) {
    this.#req = req
    this.#source = source
    this.#settings = settings
  }

  get complete(): boolean {
    const { state } = this.#source ?? { state: 'whole' }
    return state === 'whole' || (state === 'released' && this.#req.complete)
  }

  get size(): number {
    return this.#source?.received ?? 0
  }

  async buffer(): Promise<Buffer> {
    const source = this.#source
    if (source === undefined) return Buffer.alloc(0)
    const kept = source.state === 'whole' ? source.store?.copy() : undefined
    return kept ?? readAll(source.stream())
  }

  async text(): Promise<string> {
    const encoding = encodingOf(this.#req)
    return decodeText(await this.#decoded(), encoding)
  }

  json(): Promise<unknown>
  json<Output>(schema: StandardSchema<Output>): Promise<Output>
  async json(schema?: StandardSchema): Promise<unknown> {
    const value = parseJson(await this.text(), this.#settings.prototypePoisoning)
    return schema === undefined ? value : validate(schema, value)
  }

  urlencoded(): Promise<Record<string, unknown>>
  urlencoded<Output>(schema: StandardSchema<Output>): Promise<Output>
  async urlencoded(schema?: StandardSchema): Promise<unknown> {
    const value = parseForm(await this.text(), encodingOf(this.#req), this.#settings.prototypePoisoning)
    return schema === undefined ? value : validate(schema, value)
  }

  async formData(): Promise<FormData> {
    return parseFormData(await this.#decoded(), this.#req)
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.#decoded()], { type: this.#req.headers['content-type'] ?? '' })
  }

  stream(): Readable {
    return this.#source?.stream() ?? Readable.from([])
  }

  web(): ReadableStream<Uint8Array> {
    return Readable.toWeb(this.stream())
  }

  /** The bytes without their content coding, decompressed once for all. */
  async #decoded(): Promise<Buffer> {
    const decoder = decoderFor(this.#req.headers['content-encoding'])
    const failure = this.#source?.failure
    if (failure !== undefined) throw failure
    if (decoder === undefined) return this.buffer()
    this.#decompressed ??= this.#decompress(decoder)
    return this.#decompressed
  }

  #decompress(decoder: Decoder): Promise<Buffer> {
    // Released with the body itself.
    this.#source?.res.once('close', () => {
      this.#decompressed = undefined
    })
    return this.buffer().then((bytes) => decoder(bytes, this.#settings.inflateLimit))
  }
}
