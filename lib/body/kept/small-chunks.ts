/** Chunks up to this size are copied together: each of them takes some hundred bytes more than it holds. */
const SMALL = 1024

/** The size of the blocks into which they are copied. */
const BLOCK = 4096

/** Joins consecutive small chunks of a list by copying them. */
export class SmallChunks {
  /** The block that begins with the bytes of the last chunk; undefined if that chunk was added as it arrived. */
  private block: Buffer | undefined

  /**
   * Joins a chunk to the last one of a list if both are small. Returns false if the caller has to add it as it is. The
   * chunks before index `from` stay as they are.
   */
  join(chunks: Buffer[], chunk: Buffer, from = 0): boolean {
    const isJoined = chunks.length > from && this.joinLast(chunks, chunk)
    if (!isJoined) this.block = undefined
    return isJoined
  }

  private joinLast(chunks: Buffer[], chunk: Buffer): boolean {
    const last = chunks.at(-1)!
    if (chunk.length > SMALL || last.length + chunk.length > BLOCK) return false
    if (this.block === undefined && last.length > SMALL) return false
    this.block ??= blockWith(last)
    chunk.copy(this.block, last.length)
    chunks[chunks.length - 1] = this.block.subarray(0, last.length + chunk.length)
    return true
  }
}

function blockWith(chunk: Buffer): Buffer {
  const block = Buffer.allocUnsafeSlow(BLOCK)
  chunk.copy(block)
  return block
}
