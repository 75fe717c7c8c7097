/**
 * Returns the text of a header's value that a program has set. Returns undefined for a value that has no plain text:
 * `undefined` or an object would reach the other side as words.
 */
export function headerText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  const isPlain = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
  return isPlain ? String(value) : undefined
}
