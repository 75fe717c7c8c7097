import type { ServerResponse } from 'node:http'
import zlib, { type BrotliCompress, type Deflate, type DeflateRaw, type Gzip } from 'node:zlib'

/** A node:zlib stream that compresses a response. */
export type Compressor = Gzip | Deflate | DeflateRaw | BrotliCompress

// ZstdCompress came with Node 22.15; the types are those of Node 20.
const { ZstdCompress } = zlib as typeof zlib & { readonly ZstdCompress?: typeof zlib.BrotliCompress }
const deflating = [zlib.Gzip, zlib.Deflate, zlib.DeflateRaw]
const compressing = [...deflating, zlib.BrotliCompress, ...(ZstdCompress ? [ZstdCompress] : [])]

/**
 * Finds the zlib stream of a response whose head has been written; undefined if there is none.
 *
 * `compression` keeps its stream private, but moves the response's 'drain' listeners to it, and `on` then returns the
 * emitter that has the listener. One listener stays on that stream.
 */
export function findCompressor(res: ServerResponse): Compressor | undefined {
  const emitter: unknown = res.on('drain', ignore)
  if (compressing.some((kind) => emitter instanceof kind)) return emitter as Compressor
  res.removeListener('drain', ignore)
  return undefined
}

/**
 * Makes a compressor output everything it holds. A sync flush keeps its dictionary; the full flush that `compression`
 * does in `res.flush()` starts a new one, after which small events are hardly compressed at all.
 */
export function flushCompressor(compressor: Compressor): void {
  if (deflating.some((kind) => compressor instanceof kind)) compressor.flush(zlib.constants.Z_SYNC_FLUSH)
  else compressor.flush()
}

/**
 * Calls `wrote` after each write to a compressor. Watching the compressor rather than `res.write` also catches writes
 * by layers around `res.write` that pass their data on later, and by callers that have kept an older `res.write`.
 */
export function watchCompressor(compressor: Compressor, wrote: () => void): void {
  const write = compressor.write.bind(compressor) as (...args: unknown[]) => boolean
  compressor.write = function watchedWrite(...args: unknown[]): boolean {
    const result = write(...args)
    // zlib queues a flush as an empty write, which must not request another flush.
    if ((args[0] as Uint8Array).length > 0) wrote()
    return result
  }
}

function ignore(): void {}
