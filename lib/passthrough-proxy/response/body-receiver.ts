/** Receives the body of a response from the upstream. */
export interface BodyReceiver {
  write(chunk: Buffer): void
  /** Called when a read has been passed on. Returns false if the upstream is to pause; it is resumed later. */
  takesMore(): boolean
  /** True if the memory of the last read is still needed. */
  readonly holdsChunks: boolean
  /** Takes the end. Returns true if the answer has ended, too. */
  end(trailers: string[], last: Buffer | undefined): boolean
  /** True if another body has taken the place of the upstream's. */
  readonly isReplaced?: boolean
}
