import type { IncomingMessage, ServerResponse } from 'node:http'
import { rememberCompletion } from '../../node/request/facts.js'
import { bodySpilled, bodyStored } from '../../shared/channels.js'
import { type SluicewayError, sluicewayError } from '../../shared/errors.js'
import type { ByteBudget } from './byte-budget.js'
import { BodyFile, type BodyFileOwner } from './file.js'
import { BodyMemory } from './memory.js'

/** The place where the bodies of one middleware are kept. */
export interface Storage {
  /** The number of bytes of one body that are kept in memory; the bytes after them go to a file in `directory`. */
  readonly memory: number
  readonly directory: string
  /** The number of bytes that all bodies together may take. */
  readonly memoryBudget: ByteBudget
  readonly diskBudget: ByteBudget
}

/** The owner of a store, as the store sees it. */
export interface BodyStoreOwner {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Called when the store can take more bytes again. */
  onStored(): void
  /** Called when bytes were lost, so that the body cannot be kept. */
  onStoreError(error: SluicewayError): void
}

/** The codes of a file system that is full or busy; any other code means that it is set up wrongly. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM'])

/**
 * Keeps the bytes of one body in the order in which they came: the first in memory, the rest in a temporary file.
 * Positions are byte offsets from the body's start.
 */
export class BodyStore implements BodyFileOwner {
  private readonly storage: Storage
  private readonly owner: BodyStoreOwner
  private memory = new BodyMemory()
  private file: BodyFile | undefined
  /** True once no more bytes will come. */
  private isOver = false

  constructor(storage: Storage, owner: BodyStoreOwner) {
    this.storage = storage
    this.owner = owner
  }

  /** The number of bytes kept so far. */
  get size(): number {
    return this.memory.size + (this.file?.size ?? 0)
  }

  /** True while bytes are being written to the file, and the client should send no more. */
  get isWriting(): boolean {
    return this.file !== undefined && this.file.isWriting
  }

  append(chunk: Buffer): void {
    if (this.file === undefined && this.fitsInMemory(chunk)) {
      this.memory.append(chunk)
    } else if (this.storage.diskBudget.take(chunk.length)) {
      this.file ??= this.openFile()
      this.file.append(chunk)
    } else {
      this.owner.onStoreError(storageFull())
    }
  }

  /** Returns bytes from `position` on if they are in memory. */
  chunkAt(position: number): Buffer | undefined {
    return this.memory.at(position) ?? this.file?.pendingAt(position - this.memory.size)
  }

  /** Reads bytes from `position` on from the file. Returns the error if that fails. */
  readAt(position: number): Promise<Buffer | NodeJS.ErrnoException> {
    return this.file!.read(position - this.memory.size)
  }

  /** Returns a copy of everything kept if it is in memory. */
  copy(): Buffer | undefined {
    return this.file === undefined ? this.memory.copy() : undefined
  }

  /** Notes that no more bytes will come. */
  end(isWhole: boolean): void {
    if (this.isOver) return
    this.isOver = true
    if (isWhole) rememberCompletion(this.owner.req)
    if (bodyStored.isObserved) this.tellStored(isWhole)
  }

  clear(): void {
    this.end(false)
    const { memoryBudget, diskBudget } = this.storage
    memoryBudget.giveBack(this.memory.size)
    diskBudget.giveBack(this.file?.size ?? 0)
    this.file?.close()
    this.file = undefined
    this.memory = new BodyMemory()
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
    if (bodySpilled.isObserved) bodySpilled.tell({ req, res, memoryBytes: this.memory.size, directory })
    return new BodyFile(directory, this)
  }

  private tellStored(isWhole: boolean): void {
    const { req, res } = this.owner
    const { memory, file } = this
    bodyStored.tell({ req, res, memoryBytes: memory.size, fileBytes: file?.size ?? 0, isWhole })
  }

  private fitsInMemory({ length }: Buffer): boolean {
    const { memory, memoryBudget } = this.storage
    return this.memory.size + length <= memory && memoryBudget.take(length)
  }
}

/** Files are released as soon as responses end, so a client may try again soon. */
const RETRY_AFTER_SECONDS = '10'

function storageFull(cause?: Error): SluicewayError {
  return sluicewayError('ERR_SLUICEWAY_STORAGE_FULL', {
    cause,
    headers: { 'Retry-After': RETRY_AFTER_SECONDS },
  })
}
