/** The head of a request without the lines that belong to the client's own connection. */
export interface ClientHead {
  /** Name, value, name, value, …: the lines that are passed on. */
  readonly lines: string[]
  /** The names that the application has set, lower-cased. */
  readonly setHere: ReadonlySet<string>
  host: string | undefined
  /** The `:authority` of HTTP/2. */
  authority: string | undefined
  contentLength: string | undefined
  chunked: boolean
  /** True if the client sent a line that describes it (X-Forwarded-For and similar). */
  forwarded: boolean
  /** True if the client announces trailers. */
  hasTrailer: boolean
  /** The values of the `Sluiceway-Loop` lines: the targets where the request has been before. */
  marks: string
}

/** Tells whether a body follows the head. */
export function hasBody(head: ClientHead): boolean {
  return head.chunked || Number(head.contentLength ?? 0) > 0
}
