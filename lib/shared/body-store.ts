/**
 * Keeps the bytes of one body in the order they came. Positions are byte offsets from the body's start.
 */
export class BodyStore {
  /** Bytes kept so far. */
  size = 0
  private readonly chunks: Buffer[] = []
  /** The position at which each chunk starts. */
  private readonly starts: number[] = []

  append(chunk: Buffer): void {
    this.chunks.push(chunk)
    this.starts.push(this.size)
    this.size += chunk.length
  }

  /** Returns the chunk that starts at `position`; undefined past the last byte. */
  chunkAt(position: number): Buffer | undefined {
    return position < this.size ? this.chunks[this.indexOf(position)] : undefined
  }

  /** Returns a copy of everything kept. */
  copy(): Buffer {
    return Buffer.concat(this.chunks, this.size)
  }

  clear(): void {
    this.chunks.length = 0
    this.starts.length = 0
    this.size = 0
  }

  /** Finds the chunk that starts at `position`, by halving. */
  private indexOf(position: number): number {
    let low = 0
    let high = this.starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.starts[middle]! <= position) low = middle
      else high = middle - 1
    }
    return low
  }
}
