import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import type { BodySource } from '../body/source.js'
import { showAs } from '../shared/show-as.js'
import { type Decoder, decoderFor } from './decompress.js'
import { encodingOf } from './media-type.js'
import { parseFormData, parseJson } from './parsers.js'
import type { PrototypePoisoning } from './prototype-poisoning.js'
import { type StandardSchema, validate } from './standard-schema.js'
import { decodeText } from './text.js'
import { parseForm } from './urlencoded.js'
import { maxCompressedSize, loadBody } from './whole-body.js'

/**
 * Gives the body of one request in the form that a handler needs.
 *
 * Every method can be called any number of times, in any order, even while the body is still arriving, and returns
 * a new value each time. All of them reject with the body's own error: 413 'ERR_SLUICEWAY_BODY_TOO_LARGE' past a
 * limit, 400 'ERR_SLUICEWAY_BODY_ABORTED' if the client left, 500 'ERR_SLUICEWAY_BODY_RELEASED' once the response
 * has ended. Methods that load the whole body also reject with 413 if it is larger than the option `parseLimit`. A
 * promise that rejects without being awaited does not end the process.
 */
export interface BodyCache {
  /** True once the client has sent the whole body. */
  readonly complete: boolean
  /** The number of bytes received so far, as they came over the wire. */
  readonly size: number
  /** Reads the body as it came over the wire, which is what signatures cover. The caller owns the Buffer. */
  buffer(): Promise<Buffer>
  /**
   * Reads the body as text, in the charset of its Content-Type, or else in UTF-8. Rejects with 415 for an unknown
   * charset ('ERR_SLUICEWAY_CHARSET_UNSUPPORTED') or content coding ('ERR_SLUICEWAY_ENCODING_UNSUPPORTED').
   */
  text(): Promise<string>
  /**
   * Parses the body as JSON, whatever its Content-Type says. An empty body is undefined. Rejects like `text()`, and
   * with 400 'ERR_SLUICEWAY_BODY_MALFORMED' if it is not JSON, has more than 1000 levels, or has a key that would poison
   * a prototype (see the option `prototypePoisoning`); with a schema also with 400 'ERR_SLUICEWAY_BODY_INVALID' and
   * `issues`.
   */
  json(): Promise<unknown>
  json<Output>(schema: StandardSchema<Output>): Promise<Output>
  /**
   * Parses the body as a form, whatever its Content-Type says, including nested keys (`a[b]=c`), with at most 1000
   * parameters and 32 levels. Rejects with 400 'ERR_SLUICEWAY_BODY_MALFORMED' past these bounds; with a schema also
   * with 400 'ERR_SLUICEWAY_BODY_INVALID' and `issues`.
   */
  urlencoded(): Promise<Record<string, unknown>>
  urlencoded<Output>(schema: StandardSchema<Output>): Promise<Output>
  /**
   * Parses a multipart or urlencoded form, including files, all in memory. Rejects with 400
   * 'ERR_SLUICEWAY_BODY_MALFORMED' if it is malformed or has more than 1000 parts.
   * @see RFC 7578
   */
  formData(): Promise<FormData>
  /** Reads the body, decompressed, as a Blob whose type is the request's Content-Type. */
  blob(): Promise<Blob>
  /**
   * Opens a stream of the body as it came over the wire, from its start. The caller owns the stream but not its
   * chunks: other readers get the same ones, so no reader may write into them.
   */
  stream(): Readable
  /** Opens a WHATWG stream of the body as it came over the wire. The caller owns the stream but not its chunks. */
  web(): WebBody
}

/**
 * A web stream as TypeScript's library "dom" declares it, for `new Response(…)` and `fetch`, and as Node does, for
 * `Readable.fromWeb(…)`. In a program without "dom" the two are the same.
 */
type WebBody = ReadableStream<Uint8Array<ArrayBuffer>> & NodeReadableStream<Uint8Array<ArrayBuffer>>

/** The settings for decoding and parsing. */
export interface AccessorSettings {
  readonly parseLimit: number
  readonly prototypePoisoning: PrototypePoisoning
}

/** Reads the body of `req` from its source; a request without one has no body. */
export class KeptBody implements BodyCache {
  private readonly req: IncomingMessage
  private readonly source: BodySource | undefined
  private readonly settings: AccessorSettings
  private decompressed: Promise<Buffer> | undefined

  constructor(req: IncomingMessage, source: BodySource | undefined, settings: AccessorSettings) {
    this.req = req
    this.source = source
    this.settings = settings
  }

  get complete(): boolean {
    const { state } = this.source ?? { state: 'whole' }
    return state === 'whole' || (state === 'released' && this.req.complete)
  }

  get size(): number {
    return this.source?.received ?? 0
  }

  buffer(): Promise<Buffer> {
    return handled(this.load(this.settings.parseLimit))
  }

  text(): Promise<string> {
    return handled(this.readText())
  }

  json(): Promise<unknown>
  json<Output>(schema: StandardSchema<Output>): Promise<Output>
  json(schema?: StandardSchema): Promise<unknown> {
    return handled(this.readJson(schema))
  }

  urlencoded(): Promise<Record<string, unknown>>
  urlencoded<Output>(schema: StandardSchema<Output>): Promise<Output>
  urlencoded(schema?: StandardSchema): Promise<unknown> {
    return handled(this.readForm(schema))
  }

  formData(): Promise<FormData> {
    return handled(this.decoded().then((bytes) => parseFormData(bytes, this.req)))
  }

  blob(): Promise<Blob> {
    const type = this.req.headers['content-type'] ?? ''
    return handled(this.decoded().then((bytes) => new Blob([bytes], { type })))
  }

  stream(): Readable {
    return this.source?.stream() ?? Readable.from([])
  }

  web(): WebBody {
    return Readable.toWeb(this.stream()) as WebBody
  }

  private async readText(): Promise<string> {
    const encoding = encodingOf(this.req)
    return decodeText(await this.decoded(), encoding)
  }

  private async readJson(schema: StandardSchema | undefined): Promise<unknown> {
    const value = parseJson(await this.readText(), this.settings.prototypePoisoning)
    return schema === undefined ? value : validate(schema, value)
  }

  private async readForm(schema: StandardSchema | undefined): Promise<unknown> {
    const encoding = encodingOf(this.req)
    const value = await parseForm(await this.decoded(), encoding, this.settings.prototypePoisoning)
    return schema === undefined ? value : validate(schema, value)
  }

  /** Loads the bytes as they came, up to `limit` of them. */
  private async load(limit: number): Promise<Buffer> {
    return this.source === undefined ? Buffer.alloc(0) : loadBody(this.source, limit, this.settings)
  }

  /** Returns the bytes without their content coding; they are decompressed only once. */
  private async decoded(): Promise<Buffer> {
    const decoder = decoderFor(this.req.headers['content-encoding'])
    const failure = this.source?.failure
    if (failure !== undefined) throw failure
    if (decoder === undefined) return this.load(this.settings.parseLimit)
    this.decompressed ??= handled(this.decompress(decoder))
    return this.decompressed
  }

  private async decompress(decoder: Decoder): Promise<Buffer> {
    // The decompressed bytes are released with the body itself.
    this.source?.res.once('close', () => {
      this.decompressed = undefined
    })
    const { parseLimit } = this.settings
    return decoder(await this.load(maxCompressedSize(parseLimit)), parseLimit)
  }
}

showAs(KeptBody, ({ complete, size }) => ({ complete, size }))

/**
 * Keeps a rejection that no caller awaits from ending the process: a handler may begin to read, and then respond
 * without the result. A caller that awaits the promise still gets the rejection.
 */
function handled<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(ignore)
  return promise
}

function ignore(): void {}
