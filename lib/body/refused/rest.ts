/** The time, and the number of bytes, for which the rest of an upload is read and discarded after its answer. */
export interface LingerBounds {
  readonly lingerMs: number
  readonly lingerBytes: number
}

/** Handles the bytes that a client still sends after its body was refused, or its request answered. */
export interface Rest {
  /** Discards bytes, or notes the end of the body as null. Returns false if the connection should pause. */
  discard(chunk: Buffer | null): boolean
  /** Notes that the response has ended, so that the rest may flow. */
  answered(): void
}

/** The rest of a body that was refused. */
export interface RefusedRest extends Rest {
  /** Closes the connection, or the stream, as soon as the response has ended. */
  closeAfterAnswer(): void
}
