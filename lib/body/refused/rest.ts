/** How long, and for how many bytes, the rest of an upload is read and discarded once it has been answered. */
export interface LingerBounds {
  readonly lingerMs: number
  readonly lingerBytes: number
}

/** Bounds where no limit of maxBytes has set others; they are its defaults. */
export const DEFAULT_LINGER: LingerBounds = { lingerMs: 2000, lingerBytes: 16 * 1024 * 1024 }

/** So much of an answered request's body is thrown away to keep its connection. */
export const SMALL_REST: number = 256 * 1024

/** Takes what a client still sends of a body that was refused, or whose request has been answered. */
export interface Rest {
  /** Closes the connection, or the stream, as soon as the response has ended. */
  closeAfterAnswer(): void
  /** Discards bytes, or notes the end of the body. Returns false where the connection should pause. */
  discard(chunk: Buffer | null): boolean
  /** Notes that the response has ended: the rest may flow now. */
  answered(): void
}
