import type { IncomingMessage, ServerResponse } from 'node:http'
import { BodyFile, type BodyFileOwner } from './file.js'
import type { ByteBudget } from './byte-budget.js'
import { bodySpilled, bodyStored } from '../../shared/channels.js'
import { type SluicewayError, sluicewayError } from '../../shared/errors.js'

/** Where the bodies of one middleware are kept. */
export interface Storage {
  /** Bytes of one body kept in memory; what comes after them goes to a file in `directory`. */
  readonly memory: number
  readonly directory: string
  /** Bytes that all bodies together may take. */
  readonly memoryBudget: ByteBudget
  readonly diskBudget: ByteBudget
}

/** The owner of a store hears how storing goes. */
export interface BodyStoreOwner {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The store can take more bytes again. */
  onStored(): void
  /** Bytes were lost: the body cannot be kept. */
  onStoreError(error: SluicewayError): void
}

/** What a file system says when it is full or busy; anything else is a fault of its set-up. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM'])

/**
 * Keeps the bytes of one body in the order they came: the first in memory, the rest in a temporary file.
 * Positions are byte offsets from the body's start.
 */
export class BodyStore implements BodyFileOwner {
  private readonly storage: Storage
  private readonly owner: BodyStoreOwner
  private readonly chunks: Buffer[] = []
  /** The position at which each chunk starts. */
  private readonly starts: number[] = []
  private inMemory = 0
  private file: BodyFile | undefined
  /** No more comes. */
  private isOver = false

  constructor(storage: Storage, owner: BodyStoreOwner) {
    this.storage = storage
    this.owner = owner
  }

  /** Bytes kept so far. */
  get size(): number {
    return this.file === undefined ? this.inMemory : this.inMemory + this.file.size
  }

  /** True while bytes are on their way to the file: no more should come. */
  get isWriting(): boolean {
    return this.file !== undefined && this.file.isWriting
  }

  append(chunk: Buffer): void {
    if (this.file === undefined && this.fitsInMemory(chunk)) {
      this.chunks.push(chunk)
      this.starts.push(this.inMemory)
      this.inMemory += chunk.length
    } else if (this.storage.diskBudget.take(chunk.length)) {
      this.file ??= this.openFile()
      this.file.append(chunk)
    } else {
      this.owner.onStoreError(storageFull())
    }
  }

  /** Returns a chunk that starts at `position`, where it is at hand; a reader's positions are those of whole chunks. */
  chunkAt(position: number): Buffer | undefined {
    if (position < this.inMemory) return this.chunks[this.indexOf(position)]
    return this.file?.pendingAt(position - this.inMemory)
  }

  /** Reads a chunk that starts at `position` from the file. Without one the owner has been told why. */
  readAt(position: number): Promise<Buffer | undefined> {
    return this.file!.read(position - this.inMemory)
  }

  /** Returns a copy of everything kept, where that is in memory. */
  copy(): Buffer | undefined {
    return this.file === undefined ? Buffer.concat(this.chunks, this.inMemory) : undefined
  }

  /** Notes that no more comes. */
  end(isWhole: boolean): void {
    if (this.isOver) return
    this.isOver = true
    if (bodyStored.isObserved) this.tellStored(isWhole)
  }

  clear(): void {
    this.end(false)
    const { memoryBudget, diskBudget } = this.storage
    memoryBudget.giveBack(this.inMemory)
    diskBudget.giveBack(this.file?.size ?? 0)
    this.file?.close()
    this.file = undefined
    this.inMemory = 0
    this.chunks.length = 0
    this.starts.length = 0
  }

  onWritten(): void {
    this.owner.onStored()
  }

  onFileError(error: NodeJS.ErrnoException): void {
    this.owner.onStoreError(
      FULL.has(error.code ?? '')
        ? storageFull(error)
        : sluicewayError('ERR_SLUICEWAY_STORAGE_FAILED', { cause: error }),
    )
  }

  private openFile(): BodyFile {
    const { directory } = this.storage
    const { req, res } = this.owner
    if (bodySpilled.isObserved) bodySpilled.tell({ req, res, memoryBytes: this.inMemory, directory })
    return new BodyFile(directory, this)
  }

  private tellStored(isWhole: boolean): void {
    const { req, res } = this.owner
    const { inMemory: memoryBytes, file } = this
    bodyStored.tell({ req, res, memoryBytes, fileBytes: file?.size ?? 0, isWhole })
  }

  private fitsInMemory({ length }: Buffer): boolean {
    const { memory, memoryBudget } = this.storage
    return this.inMemory + length <= memory && memoryBudget.take(length)
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

/** Files are gone as soon as responses end, so a client may soon try again. */
const RETRY_AFTER_SECONDS = '10'

function storageFull(cause?: Error): SluicewayError {
  return sluicewayError('ERR_SLUICEWAY_STORAGE_FULL', {
    cause,
    headers: { 'Retry-After': RETRY_AFTER_SECONDS },
  })
}
