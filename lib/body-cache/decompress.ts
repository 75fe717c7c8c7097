import { constants } from 'node:buffer'
import { promisify } from 'node:util'
import type zlib from 'node:zlib'
import { sluicewayError } from '../shared/errors.js'
import { malformed } from './malformed.js'
import { tooLargeToParse } from './whole-body.js'

/** The result of zlib with `info: true`. */
interface Decompressed {
  readonly buffer: Buffer
  /** `bytesWritten` counts the bytes up to the end of the compressed data. */
  readonly engine: { readonly bytesWritten: number }
}

type Decompress = (
  bytes: Buffer,
  options: { readonly info: true; readonly maxOutputLength: number },
) => Promise<Decompressed>

type Decompressors = Readonly<Record<string, Decompress | undefined>>

/** Loaded with the first compressed body. */
let decompressors: Decompressors | undefined

/** Returns one decompressor for each content coding that this Node supports. */
function loadDecompressors(): Decompressors {
  const { gunzip, inflate, inflateRaw, brotliDecompress, ...others } = process.getBuiltinModule('node:zlib')
  const gzip = promised(gunzip)
  const [wrapped, bare] = [promised(inflate), promised(inflateRaw)]
  return {
    gzip,
    'x-gzip': gzip,
    deflate: (bytes, options) => (hasZlibHeader(bytes) ? wrapped : bare)(bytes, options),
    br: promised(brotliDecompress),
    zstd: zstdDecompressor(others),
  }
}

function promised(decompress: typeof zlib.gunzip): Decompress {
  return promisify(decompress) as unknown as Decompress
}

/**
 * Undoes a content coding. Rejects with 413 if the result is longer than `limit` bytes, with 400 for damaged bytes.
 */
export type Decoder = (bytes: Buffer, limit: number) => Promise<Buffer>

/**
 * Returns the decoder of a content coding; undefined if there is nothing to decode. Throws 415 for an unknown coding,
 * and for more than one: a chain of codings can turn a few bytes into a huge body.
 */
export function decoderFor(coding = ''): Decoder | undefined {
  const name = coding.trim().toLowerCase()
  if (name === '' || name === 'identity') return undefined
  decompressors ??= loadDecompressors()
  const decompress = Object.hasOwn(decompressors, name) ? decompressors[name] : undefined
  if (decompress !== undefined) return (bytes, limit) => decodeWhole(decompress, bytes, limit)
  throw sluicewayError('ERR_SLUICEWAY_ENCODING_UNSUPPORTED', {
    message: `unsupported content encoding "${coding}"`,
  })
}

/** Decompresses bytes that have to be compressed data from the first to the last. */
async function decodeWhole(decompress: Decompress, bytes: Buffer, limit: number): Promise<Buffer> {
  if (bytes.length === 0) return bytes
  // zlib does not accept 0 here; past its limit it stops after a piece of 16 KiB.
  const maxOutputLength = Math.max(1, Math.min(limit, constants.MAX_LENGTH))
  const { buffer, engine } = await decompress(bytes, { info: true, maxOutputLength }).catch((cause) => {
    throw decompressionError(cause, limit)
  })
  if (engine.bytesWritten !== bytes.length) throw damaged()
  if (buffer.length > limit) throw tooLargeToParse({ limit })
  return buffer
}

function decompressionError(cause: unknown, limit: number): Error {
  const tooLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
  return tooLarge ? tooLargeToParse({ limit, cause }) : damaged(cause)
}

function damaged(cause?: unknown): Error {
  return malformed('request body could not be decompressed', cause)
}

/**
 * Recognizes zlib data, which `deflate` means (RFC 9110 §8.4.1.2). Many clients send bare deflate data
 * instead.
 */
function hasZlibHeader(bytes: Buffer): boolean {
  return bytes.length > 1 && (bytes[0]! & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0
}

/** Returns the decompressor of zstd, which came with Node 22.15. */
function zstdDecompressor(module: object): Decompress | undefined {
  const { zstdDecompress } = module as { zstdDecompress?: typeof zlib.gunzip }
  if (zstdDecompress === undefined) return undefined
  /* c8 ignore start -- Node 20 lacks it, and coverage is measured there too */
  const decompress = promised(zstdDecompress)
  // Node 22 accepts truncated data as complete. An extra byte tells them apart: only truncated data consumes it.
  return (bytes, options) => decompress(Buffer.concat([bytes, Buffer.alloc(1)]), options)
}
/* c8 ignore stop */
