/** The size for a server that sends much. */
const LARGE = 64 * 1024
/** The size for one that sends little: most responses, events, and messages of WebSockets fit. */
const SMALL = 4 * 1024
/** The number of small reads in a row after which a connection gives its large memory back. */
const PATIENCE = 8

/**
 * The memory into which one connection reads. It is reused unless a receiver still needs the bytes that were read; in
 * that case it is left to the receiver. A connection holds it even while it waits, and there may be thousands that
 * wait for events: it starts small, grows with the first read that fills it, and shrinks after some small ones.
 */
export class ReadMemory {
  private memory: Buffer = Buffer.allocUnsafeSlow(SMALL)
  private size = SMALL
  private smallReads = 0
  private isLeft = false

  /**
   * Returns memory for Node's `onread.buffer`, which is called after each read, and for each socket that Node opens
   * for one connection. It may return nothing after a read, but a socket that gets nothing at first reads elsewhere.
   */
  give(): Buffer {
    if (this.isLeft || this.size !== this.memory.length) this.memory = Buffer.allocUnsafeSlow(this.size)
    this.isLeft = false
    return this.memory
  }

  /** Returns the bytes of the last read. */
  filled(length: number): Buffer {
    const isFull = length === this.memory.length
    this.smallReads = isFull || length > SMALL ? 0 : this.smallReads + 1
    if (isFull) this.size = LARGE
    else if (this.smallReads >= PATIENCE) this.size = SMALL
    return this.memory.subarray(0, length)
  }

  /** Leaves the memory of the last read to the receiver. */
  leave(): void {
    this.isLeft = true
  }
}
