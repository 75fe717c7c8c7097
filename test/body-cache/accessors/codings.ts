import type { Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import zlib from 'node:zlib'

const MEGABYTE = Buffer.alloc(1024 * 1024)
const GIGABYTE = 1024

/** A content coding, as clients produce it. */
export interface Coding {
  readonly name: string
  /** What Content-Encoding says. */
  readonly token: string
  readonly encode: (bytes: string | Buffer) => Buffer
  /** Data that decodes to a gigabyte. */
  readonly bomb: () => Promise<Buffer>
}

const { zstdCompressSync, createZstdCompress } = zlib as {
  zstdCompressSync?: (bytes: string | Buffer) => Buffer
  createZstdCompress?: () => Transform
}

export const codings: readonly Coding[] = [
  { name: 'gzip', token: 'gzip', encode: (bytes) => zlib.gzipSync(bytes), bomb: gzipBomb },
  { name: 'deflate', token: 'deflate', encode: (bytes) => zlib.deflateSync(bytes), bomb: deflateBomb },
  {
    name: 'deflate without its zlib header',
    token: 'deflate',
    encode: (bytes) => zlib.deflateRawSync(bytes),
    bomb: async () => (await deflateBomb()).subarray(2),
  },
  {
    name: 'br',
    token: 'br',
    encode: (bytes) => zlib.brotliCompressSync(bytes),
    bomb: () =>
      compressed(zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })),
  },
  ...(zstdCompressSync === undefined || createZstdCompress === undefined
    ? []
    : [
        {
          name: 'zstd',
          token: 'zstd',
          encode: zstdCompressSync,
          bomb: () => compressed(createZstdCompress()),
        },
      ]),
]

export const hasZstd: boolean = zstdCompressSync !== undefined

/** gzip data may consist of several gzip members. */
async function gzipBomb(): Promise<Buffer> {
  return Buffer.concat(Array<Buffer>(GIGABYTE).fill(zlib.gzipSync(MEGABYTE)))
}

/** zlib's header, and blocks that each end on a whole byte. */
async function deflateBomb(): Promise<Buffer> {
  const block = zlib.deflateRawSync(MEGABYTE, { finishFlush: zlib.constants.Z_FULL_FLUSH })
  return Buffer.concat([Buffer.from('789c', 'hex'), ...Array<Buffer>(GIGABYTE).fill(block)])
}

async function compressed(compressor: Transform): Promise<Buffer> {
  const result = buffer(compressor)
  for (let written = 0; written < GIGABYTE; written++) {
    await new Promise((resolve) => compressor.write(MEGABYTE, resolve))
  }
  compressor.end()
  return result
}
