/** How long, and for how many bytes, the rest of an upload is read and discarded once it has been answered. */
export interface LingerBounds {
  readonly lingerMs: number
  readonly lingerBytes: number
}

/** Takes what a client still sends of a body that was refused, or whose request has been answered. */
export interface Rest {
  /** Closes the connection, or the stream, as soon as the response has ended. */
  closeAfterAnswer(): void
  /** Discards bytes, or notes the end of the body. Returns false where the connection should pause. */
  discard(chunk: Buffer | null): boolean
  /** Notes that the response has ended: the rest may flow now. */
  answered(): void
}
