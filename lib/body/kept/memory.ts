import { SmallChunks } from './small-chunks.js'

/** Holds bytes of one body in memory, in the order in which they came. Positions are byte offsets from their start. */
export class BodyMemory {
  size = 0
  private readonly chunks: Buffer[] = []
  /** The position at which each chunk starts. */
  private readonly starts: number[] = []
  /** Set with the second chunk: most bodies are one. */
  private small: SmallChunks | undefined

  append(chunk: Buffer): void {
    if (this.chunks.length === 0 || !this.join(chunk)) {
      this.chunks.push(chunk)
      this.starts.push(this.size)
    }
    this.size += chunk.length
  }

  /** Returns the bytes from `position` to the end of their chunk; undefined if there are none. */
  at(position: number): Buffer | undefined {
    if (position >= this.size) return undefined
    const index = this.indexOf(position)
    return sliceFrom(this.chunks[index]!, position - this.starts[index]!)
  }

  private join(chunk: Buffer): boolean {
    this.small ??= new SmallChunks()
    return this.small.join(this.chunks, chunk)
  }

  /** Returns a copy of all bytes. */
  copy(): Buffer {
    return Buffer.concat(this.chunks, this.size)
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

/** Returns the bytes of a chunk from `start` on. Most readers are at its start. */
function sliceFrom(chunk: Buffer, start: number): Buffer {
  return start === 0 ? chunk : chunk.subarray(start)
}
