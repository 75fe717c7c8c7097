/** Chunks up to this size are copied together: each of them takes some hundred bytes more than it holds. */
const SMALL = 1024

/** The size of the blocks into which they are copied. */
const BLOCK = 4096

/** Holds bytes of one body in memory, in the order in which they came. Positions are byte offsets from their start. */
export class BodyMemory {
  size = 0
  private readonly chunks: Buffer[] = []
  /** The position at which each chunk starts. */
  private readonly starts: number[] = []
  /** The block whose beginning is the last chunk; undefined if that is a chunk as it came. */
  private block: Buffer | undefined

  append(chunk: Buffer): void {
    if (!this.joinLast(chunk)) {
      this.chunks.push(chunk)
      this.starts.push(this.size)
      this.block = undefined
    }
    this.size += chunk.length
  }

  /** Returns the bytes from `position` to the end of their chunk; undefined if there are none. */
  at(position: number): Buffer | undefined {
    if (position >= this.size) return undefined
    const index = this.indexOf(position)
    return from(this.chunks[index]!, position - this.starts[index]!)
  }

  /** Returns a copy of all bytes. */
  copy(): Buffer {
    return Buffer.concat(this.chunks, this.size)
  }

  /** Copies a small chunk behind a last one that is small, too. Returns false for any other. */
  private joinLast(chunk: Buffer): boolean {
    const last = this.chunks.at(-1)
    if (last === undefined || chunk.length > SMALL || last.length + chunk.length > BLOCK) return false
    if (this.block === undefined && last.length > SMALL) return false
    this.block ??= blockWith(last)
    chunk.copy(this.block, last.length)
    this.chunks[this.chunks.length - 1] = this.block.subarray(0, last.length + chunk.length)
    return true
  }

  /** Finds the chunk that holds `position` by binary search. */
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

/** Most readers are at the start of a chunk. */
function from(chunk: Buffer, start: number): Buffer {
  return start === 0 ? chunk : chunk.subarray(start)
}

function blockWith(chunk: Buffer): Buffer {
  const block = Buffer.allocUnsafeSlow(BLOCK)
  chunk.copy(block)
  return block
}
