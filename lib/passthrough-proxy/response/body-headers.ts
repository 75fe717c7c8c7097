import { digestNames, isDigest } from '../headers/digests.js'
import { type HeaderList, removeLines } from '../headers/header-list.js'

/**
 * Adapts the headers of a response to a body that is changed as it passes: its length is not known, and parts of it
 * cannot be requested.
 */
export function adaptToChangedBody(headers: HeaderList): void {
  for (const name of ['content-length', 'accept-ranges', ...digestNames]) headers.delete(name)
  const tag = headers.get('etag')
  // RFC 9110 §8.8.1: a strong validator is the same only for the same bytes.
  if (tag !== undefined && !tag.startsWith('W/')) headers.set('ETag', `W/${tag}`)
  forgetDigestTrailers(headers)
}

/** Adapts the headers of a response to another body, which the upstream does not know. */
export function adaptToOtherBody(headers: HeaderList): void {
  adaptToChangedBody(headers)
  for (const name of ['etag', 'last-modified', 'content-encoding', 'content-range', 'trailer']) {
    headers.delete(name)
  }
}

/** Removes from Trailer the names of lines that are not passed on. */
function forgetDigestTrailers(headers: HeaderList): void {
  const named = headers.getAll('trailer').flatMap((line) => line.split(','))
  const kept = named.map((name) => name.trim()).filter((name) => !isDigest(name.toLowerCase()))
  if (kept.length === named.length) return
  headers.delete('trailer')
  if (kept.length > 0) headers.append('Trailer', kept.join(', '))
}

/** Returns the trailers that are still right for a changed body. */
export function withoutDigests(trailers: string[]): string[] {
  removeLines(trailers, isDigest)
  return trailers
}
