/** Tells whether a Content-Length is valid (RFC 9110 §8.6) and can be counted. */
export function isLength(value: string): boolean {
  return DIGITS.test(value) && Number(value) <= Number.MAX_SAFE_INTEGER
}

const DIGITS = /^\d+$/

/** Tells whether a response ends with its head (RFC 9112 §6.3). */
export function hasNoBody(method: string | undefined, status: number): boolean {
  return status === 204 || status === 304 || method === 'HEAD'
}
