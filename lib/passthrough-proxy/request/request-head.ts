/** The head of a request, with what belongs to the client's own connection taken out of its lines. */
export interface RequestHead {
  /** Name, value, name, value, …: what goes on to the upstream. */
  readonly lines: string[]
  /** The names that the application has set, lower-cased. */
  readonly setHere: ReadonlySet<string>
  host: string | undefined
  /** The `:authority` of HTTP/2. */
  authority: string | undefined
  contentLength: string | undefined
  chunked: boolean
  /** Whether the client sent a line that tells who it is (X-Forwarded-For and its kin). */
  forwarded: boolean
  /** Whether the client announces trailers. */
  hasTrailer: boolean
  /** Where the request has been before: what its `Sluiceway-Loop` lines say. */
  marks: string
}

/** Tells whether a body follows the head. */
export function hasBody(head: RequestHead): boolean {
  return head.chunked || Number(head.contentLength ?? 0) > 0
}
