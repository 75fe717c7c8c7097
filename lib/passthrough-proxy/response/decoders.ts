import { Transform, type TransformCallback } from 'node:stream'
import zlib from 'node:zlib'
import { sluicewayError } from '../../shared/errors.js'

/** A stream of zlib that decompresses. */
type Engine = zlib.Gunzip | zlib.Inflate | zlib.InflateRaw | zlib.BrotliDecompress

/** Creates the engine for a body whose first byte is known. */
type OpenEngine = (first: number) => Engine

const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Engine }

/** One for each content coding that this Node supports. */
const engines: ReadonlyMap<string, OpenEngine> = new Map<string, OpenEngine>([
  ['gzip', () => zlib.createGunzip()],
  ['x-gzip', () => zlib.createGunzip()],
  // It means the zlib format (RFC 9110 §8.4.1.2); some servers send bare deflate data, whose first byte differs.
  ['deflate', (first) => ((first & 0x0f) === 8 ? zlib.createInflate() : zlib.createInflateRaw())],
  ['br', () => zlib.createBrotliDecompress()],
  ...(createZstdDecompress === undefined ? [] : [['zstd', () => createZstdDecompress()] as const]),
])

/** A chain of codings can turn a few bytes into a huge body, at the cost of each. */
const MAX_CODINGS = 3

/**
 * Returns the codings in the values of Content-Encoding, in the order in which they were applied. Throws a 502 for one
 * that cannot be removed.
 */
export function codingsIn(values: readonly string[]): string[] {
  const codings = values
    .join(',')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
  if (codings.length > MAX_CODINGS) throw undecodable(`more than ${MAX_CODINGS} content codings`)
  const unknown = codings.find((coding) => !engines.has(coding))
  if (unknown === 'zstd') throw undecodable('zstd, which Node supports from 22.15 on')
  if (unknown !== undefined) throw undecodable(`the content coding ${JSON.stringify(unknown)}`)
  return codings
}

/** Creates the error for a body that cannot be decoded. */
export function undecodable(cause: unknown): Error {
  return sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
    message: "passthroughProxy: decode() cannot decode the upstream's body",
    cause: typeof cause === 'string' ? new Error(cause) : cause,
  })
}

/**
 * Removes one content coding. Unlike a stream of zlib, it accepts a body without any bytes as empty, and fails if more
 * bytes follow the compressed data.
 */
export class Decoder extends Transform {
  private readonly coding: string
  private engine: Engine | undefined
  private isLast = false

  constructor(coding: string) {
    super()
    this.coding = coding
  }

  override _transform(chunk: Buffer, _encoding: string, callback: TransformCallback): void {
    if (chunk.length === 0) return callback()
    this.feed(chunk, callback)
  }

  private feed(chunk: Buffer, callback: TransformCallback): void {
    const engine = (this.engine ??= this.open(chunk[0] as number))
    const before = engine.bytesWritten
    engine.write(chunk, (error) => {
      const used = engine.bytesWritten - before
      if (error || used === chunk.length || this.coding !== 'zstd') callback(error)
      /* c8 ignore next -- coverage is measured on Node 20 too, which has no zstd */
      else this.feedNext(engine, chunk.subarray(used), callback)
    })
  }

  /* c8 ignore start -- the same */
  /** Decodes the next frame of zstd: up to version 24, Node stops after the first. */
  private feedNext(engine: Engine, rest: Buffer, callback: TransformCallback): void {
    const feed = (): void => {
      this.engine = undefined
      this.feed(rest, callback)
    }
    if (engine.readableEnded) feed()
    else engine.once('end', feed)
  }
  /* c8 ignore stop */

  override _flush(callback: TransformCallback): void {
    this.isLast = true
    const { engine } = this
    if (engine === undefined) callback()
    else if (MISSES_TRUNCATION && this.coding === 'zstd') endZstd(engine, callback)
    else engine.once('end', callback).end()
  }

  override _read(size: number): void {
    this.engine?.resume()
    super._read(size)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.engine?.destroy()
    super._destroy(error, callback)
  }

  private open(first: number): Engine {
    const engine = (engines.get(this.coding) as OpenEngine)(first)
    engine.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) engine.pause()
    })
    engine.on('error', (error) => this.destroy(error))
    engine.on('end', () => {
      if (!this.isLast && this.coding !== 'zstd')
        this.destroy(new Error('more bytes follow the compressed data'))
    })
    return engine
  }
}

/* c8 ignore start -- coverage is measured on Node 20 too, which has no zstd */

/** Up to Node 23, zstd takes data that was cut off for complete. */
const MISSES_TRUNCATION = Number.parseInt(process.versions.node, 10) < 24

/** Each frame of zstd begins with these bytes. */
const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/**
 * Ends a stream of zstd. Bytes that begin no frame tell complete data from truncated data: they are refused as such
 * only behind a whole frame.
 */
function endZstd(engine: Engine, callback: TransformCallback): void {
  const isBegun = engine.bytesWritten > magic.length
  const truncated = new Error('unexpected end of file')
  engine.removeAllListeners('data').removeAllListeners('error').resume()
  engine
    .once('end', () => callback(truncated))
    .once('error', ({ code }: NodeJS.ErrnoException) => {
      callback(isBegun && code === 'ZSTD_error_prefix_unknown' ? null : truncated)
    })
  engine.end(Buffer.alloc(2 * magic.length, 0xff))
}

/* c8 ignore stop */
