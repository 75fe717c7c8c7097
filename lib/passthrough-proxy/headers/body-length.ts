/** Tells whether a Content-Length is valid (RFC 9110 §8.6) and can be counted. */
export function isLength(value: string): boolean {
  return DIGITS.test(value) && Number(value) <= Number.MAX_SAFE_INTEGER
}

const DIGITS = /^\d+$/
