/** The size for a server that sends much. */
const LARGE = 64 * 1024
/** The size for one that sends little: most responses, events, and messages of WebSockets fit. */
const SMALL = 4 * 1024
/** The number of small reads in a row after which a connection gives its large memory back. */
const PATIENCE = 8

/** Memory into which a socket reads. */
export interface Memory {
  /**
   * Returns memory for Node's `onread.buffer`, which is called after each read, and for each socket that Node opens
   * for one connection. It may return nothing after a read, but a socket that gets nothing at first reads elsewhere.
   */
  give(): Buffer
  /** Returns the bytes of the last read. */
  filled(length: number): Buffer
  /** Leaves the memory of the last read to the receiver. */
  leave?(): void
}

/**
 * Memory into which any number of sockets read, so that one that waits holds none: there may be thousands. Each copies
 * its bytes at once, before the next one reads.
 */
class SharedMemory implements Memory {
  private readonly size: number
  private memory: Buffer | undefined

  constructor(size: number) {
    this.size = size
  }

  give(): Buffer {
    this.memory ??= Buffer.allocUnsafeSlow(this.size)
    return this.memory
  }

  filled(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    this.memory?.copy(bytes, 0, 0, length)
    return bytes
  }
}

/** For tunnels, whose streams may hold the bytes for a while. */
export const tunnelMemory: Memory = new SharedMemory(LARGE)

const smallMemory: Memory = new SharedMemory(SMALL)

/**
 * The memory into which one connection reads. It is shared with other connections at first. The first read that fills
 * it gives the connection memory of its own, whose bytes are not copied; after some small ones it is given back. It is
 * reused unless a receiver still needs the bytes that were read; in that case it is left to the receiver.
 */
export class ReadMemory implements Memory {
  private own: Buffer | undefined
  private needsOwn = false
  private smallReads = 0
  private isLeft = false

  give(): Buffer {
    if (!this.needsOwn) {
      this.own = undefined
      return smallMemory.give()
    }
    if (this.isLeft || this.own === undefined) this.own = Buffer.allocUnsafeSlow(LARGE)
    this.isLeft = false
    return this.own
  }

  filled(length: number): Buffer {
    const { own } = this
    const isFull = length === (own === undefined ? SMALL : LARGE)
    this.smallReads = isFull || length > SMALL ? 0 : this.smallReads + 1
    if (isFull) this.needsOwn = true
    else if (this.smallReads >= PATIENCE) this.needsOwn = false
    return own === undefined ? smallMemory.filled(length) : own.subarray(0, length)
  }

  leave(): void {
    this.isLeft = true
  }
}
