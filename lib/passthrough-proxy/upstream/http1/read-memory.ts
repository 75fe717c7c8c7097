const SIZE = 64 * 1024

/**
 * What one connection reads into. The same memory is used again, unless somebody still needs what was read: then that
 * is left to them.
 */
export class ReadMemory {
  private memory: Buffer = Buffer.allocUnsafeSlow(SIZE)
  private isLeft = false

  /**
   * For Node's `onread.buffer`, which is called after each read, and for each socket that Node opens for one connection.
   * It may give nothing after a read, but a socket that gets nothing at first reads elsewhere.
   */
  give(): Buffer {
    if (this.isLeft) this.memory = Buffer.allocUnsafeSlow(SIZE)
    this.isLeft = false
    return this.memory
  }

  /** The bytes of the last read. */
  filled(length: number): Buffer {
    return this.memory.subarray(0, length)
  }

  /** What was read last is still needed. */
  leave(): void {
    this.isLeft = true
  }
}
