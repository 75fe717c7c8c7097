import type { ServerResponse } from 'node:http'
import zlib from 'node:zlib'

/** A stream of node:zlib that compresses a response. */
export type Compressor = zlib.Gzip | zlib.Deflate | zlib.DeflateRaw | zlib.BrotliCompress

// ZstdCompress came with Node 22.15, and the types are those of Node 20.
const { ZstdCompress } = zlib as typeof zlib & { readonly ZstdCompress?: typeof zlib.BrotliCompress }
const deflating = [zlib.Gzip, zlib.Deflate, zlib.DeflateRaw]
const compressing = [...deflating, zlib.BrotliCompress, ...(ZstdCompress ? [ZstdCompress] : [])]

/**
 * Finds the zlib stream behind a response whose head has been written, or undefined.
 *
 * `compression` keeps its stream to itself, but moves 'drain' listeners of the response over to it and then, as
 * every `on` does, returns the emitter that has taken the listener. The listener stays on that stream: one, once.
 */
export function findCompressor(res: ServerResponse): Compressor | undefined {
  const emitter: unknown = res.on('drain', ignore)
  if (compressing.some((kind) => emitter instanceof kind)) return emitter as Compressor
  res.removeListener('drain', ignore)
  return undefined
}

/**
 * Makes a compressor give out all that it holds. A sync flush keeps its dictionary; the full flush of
 * `res.flush()` in `compression` starts a new one, after which small events hardly shrink at all.
 */
export function flushCompressor(compressor: Compressor): void {
  if (deflating.some((kind) => compressor instanceof kind)) compressor.flush(zlib.constants.Z_SYNC_FLUSH)
  else compressor.flush()
}

/**
 * Calls `wrote` after each write to a compressor. Listening there rather than at `res.write` catches every way to it:
 * layers around `res.write` that pass their data on later, and callers that have kept an older `res.write`.
 */
export function watchCompressor(compressor: Compressor, wrote: () => void): void {
  const write = compressor.write.bind(compressor) as (...args: unknown[]) => boolean
  compressor.write = function watchedWrite(...args: unknown[]): boolean {
    const result = write(...args)
    // An empty write is how zlib queues a flush: it must not ask for another one.
    if ((args[0] as Uint8Array).length > 0) wrote()
    return result
  }
}

function ignore(): void {}
