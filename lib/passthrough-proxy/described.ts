/** Describes a value in a message: a client may not see it, but logs will. */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  const { constructor } = value as { constructor?: { name?: unknown } }
  return typeof constructor?.name === 'string' ? `a value of class ${constructor.name}` : 'an object'
}
