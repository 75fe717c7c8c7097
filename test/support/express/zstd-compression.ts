import type { Readable } from 'node:stream'
import zlib from 'node:zlib'
import type { RequestHandler } from 'express'

type Zstd = typeof zlib & {
  readonly createZstdCompress?: () => zlib.BrotliCompress
  readonly createZstdDecompress?: () => NodeJS.ReadWriteStream & Readable
}

/** Node has Zstandard since 22.15, and the types are those of Node 20. */
export const { createZstdCompress, createZstdDecompress } = zlib as Zstd

/**
 * A `compression` for zstd, which the real one does not support: like it, it replaces `write`, `end` and `on` of the
 * response by those of a zlib stream, and `res.on('drain')` returns that stream.
 */
export const zstdCompression: RequestHandler = (req, res, next) => {
  if (req.headers['accept-encoding'] !== 'zstd' || createZstdCompress === undefined) return next()
  const stream = createZstdCompress()
  const write = res.write.bind(res) as (chunk: Buffer) => boolean
  const end = res.end.bind(res) as () => void
  const on = res.on.bind(res)
  stream.on('data', (chunk: Buffer) => {
    if (!write(chunk)) stream.pause()
  })
  stream.on('end', () => end())
  on('drain', () => stream.resume())
  const head = (): void => {
    if (!res.headersSent) res.setHeader('Content-Encoding', 'zstd').writeHead(res.statusCode)
  }
  const patches = {
    write: (chunk: string | Buffer) => {
      head()
      return stream.write(chunk)
    },
    end: () => {
      head()
      stream.end()
      return res
    },
    flush: () => stream.flush(),
    on: (event: string, listener: () => void) =>
      event === 'drain' ? stream.on(event, listener) : on(event, listener),
  }
  Object.assign(res, patches)
  next()
}
