import { constants } from 'node:buffer'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { sluicewayError } from '../shared/errors.js'

type Decompressor = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>

/** One decompressor for each content coding this Node has; zstd came with Node 22.15. */
const decompressors: Readonly<Record<string, Decompressor | undefined>> = {
  gzip: promisify(zlib.gunzip),
  'x-gzip': promisify(zlib.gunzip),
  deflate: promisify(zlib.inflate),
  br: promisify(zlib.brotliDecompress),
  zstd: zstdDecompressor(),
}

/**
 * Undoes one content coding. Throws 415 for a coding that is not known, and for more than one: a chain of them is a
 * way to make small bodies huge. Throws 413 past `limit` bytes of result, 400 where the bytes are damaged.
 */
export async function decompress(bytes: Buffer, coding: string, limit: number): Promise<Buffer> {
  const name = coding.trim().toLowerCase()
  const decompressor = Object.hasOwn(decompressors, name) ? decompressors[name] : undefined
  if (decompressor === undefined) {
    throw sluicewayError('ERR_SLUICEWAY_ENCODING_UNSUPPORTED', {
      message: `unsupported content encoding "${coding}"`,
    })
  }
  try {
    return await decompressor(bytes, { maxOutputLength: Math.min(limit, constants.MAX_LENGTH) })
  } catch (cause) {
    throw decompressionError(cause, limit)
  }
}

function decompressionError(cause: unknown, limit: number): Error {
  const tooLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
  return tooLarge
    ? sluicewayError('ERR_SLUICEWAY_BODY_TOO_LARGE', { limit, cause })
    : sluicewayError('ERR_SLUICEWAY_BODY_MALFORMED', {
        cause,
        message: 'request body could not be decompressed',
      })
}

function zstdDecompressor(): Decompressor | undefined {
  const { zstdDecompress } = zlib as { zstdDecompress?: typeof zlib.gunzip }
  return zstdDecompress === undefined ? undefined : promisify(zstdDecompress)
}
