import { type FileHandle, open, unlink } from 'node:fs/promises'
import path from 'node:path'
import { SmallChunks } from './small-chunks.js'

/** The number of bytes that are read at a time. */
const READ_SIZE = 64 * 1024

/** The number of bytes up to which chunks are joined into one write: each write takes a turn of a thread. */
const WRITE_SIZE = 64 * 1024

/** The owner of a file, as the file sees it. */
export interface BodyFileOwner {
  /** Called when everything appended so far has been written. */
  onWritten(): void
  /** Called when the file could not be opened or written, and cannot be used any more. */
  onFileError(error: NodeJS.ErrnoException): void
}

/**
 * Holds bytes of one body in a temporary file. The file has no name: it is unlinked as soon as it is open, so it
 * cannot outlive the process. Its mode is 0600. Positions are byte offsets from the file's start.
 */
export class BodyFile {
  /** The number of bytes appended, written or not. */
  size = 0
  private written = 0
  /** The chunks that are not written yet, in order. */
  private readonly pending: Buffer[] = []
  private readonly small = new SmallChunks()
  private readonly owner: BodyFileOwner
  private readonly handle: Promise<FileHandle>

  constructor(directory: string, owner: BodyFileOwner) {
    this.owner = owner
    const { randomUUID } = process.getBuiltinModule('node:crypto') // most processes never need it
    this.handle = openUnnamed(path.join(directory, `sluiceway-${randomUUID()}`))
  }

  /** True until everything appended is written. */
  get isWriting(): boolean {
    return this.pending.length > 0
  }

  append(chunk: Buffer): void {
    // Nothing is joined to the first chunk, which is being written. Readers search this list, and one read of a socket
    // may hold ten thousand chunks.
    if (!this.small.join(this.pending, chunk, 1)) this.pending.push(chunk)
    this.size += chunk.length
    if (this.pending.length === 1) void this.writePending()
  }

  /** Returns bytes from `position` on that are still in memory; undefined if they have been written. */
  pendingAt(position: number): Buffer | undefined {
    let start = this.written
    if (position < start) return undefined
    for (const chunk of this.pending) {
      if (position < start + chunk.length) return chunk.subarray(position - start)
      start += chunk.length
    }
    return undefined
  }

  /** Reads written bytes from `position` on, up to a chunk. Returns the error if that fails: its reader may have left. */
  async read(position: number): Promise<Buffer | NodeJS.ErrnoException> {
    const chunk = Buffer.allocUnsafe(Math.min(READ_SIZE, this.written - position))
    try {
      const handle = await this.handle
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, position)
      return chunk.subarray(0, bytesRead)
    } catch (error) {
      return error as NodeJS.ErrnoException
    }
  }

  /** Closes the file when the current read or write is done. */
  close(): void {
    this.pending.length = 0
    this.handle.then((handle) => handle.close()).catch(ignore)
  }

  private async writePending(): Promise<void> {
    try {
      const handle = await this.handle
      while (this.pending.length > 0) await this.writeOne(handle, this.joinPending())
      this.owner.onWritten()
    } catch (error) {
      this.owner.onFileError(error as NodeJS.ErrnoException)
    }
  }

  /** Joins the chunks that are written next. */
  private joinPending(): Buffer {
    const { pending } = this
    let [count, size] = [1, pending[0]!.length]
    while (count < pending.length && size + pending[count]!.length <= WRITE_SIZE)
      size += pending[count++]!.length
    if (count > 1) pending.splice(0, count, Buffer.concat(pending.slice(0, count), size))
    return pending[0]!
  }

  private async writeOne(handle: FileHandle, chunk: Buffer): Promise<void> {
    const { bytesWritten } = await handle.write(chunk, 0, chunk.length, this.written)
    this.written += bytesWritten
    // A disk that is nearly full writes only a part.
    if (bytesWritten < chunk.length) this.pending[0] = chunk.subarray(bytesWritten)
    else this.pending.shift()
  }
}

async function openUnnamed(name: string): Promise<FileHandle> {
  const handle = await open(name, 'wx+', 0o600)
  try {
    await unlink(name)
  } catch (error) {
    await handle.close()
    throw error
  }
  return handle
}

function ignore(): void {}
