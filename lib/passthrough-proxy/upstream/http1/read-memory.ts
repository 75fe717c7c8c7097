const SIZE = 64 * 1024

/**
 * The memory into which one connection reads. It is reused unless a receiver still needs the bytes that were read; in
 * that case it is left to the receiver.
 */
export class ReadMemory {
  private memory: Buffer = Buffer.allocUnsafeSlow(SIZE)
  private isLeft = false

  /**
   * Returns memory for Node's `onread.buffer`, which is called after each read, and for each socket that Node opens
   * for one connection. It may return nothing after a read, but a socket that gets nothing at first reads elsewhere.
   */
  give(): Buffer {
    if (this.isLeft) this.memory = Buffer.allocUnsafeSlow(SIZE)
    this.isLeft = false
    return this.memory
  }

  /** Returns the bytes of the last read. */
  filled(length: number): Buffer {
    return this.memory.subarray(0, length)
  }

  /** Leaves the memory of the last read to the receiver. */
  leave(): void {
    this.isLeft = true
  }
}
