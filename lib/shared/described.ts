/** Describes a value in a message by its kind alone: an option or a body may hold secrets, and messages are logged. */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value !== 'object') return `a ${typeof value}`
  const name = classOf(value)
  return name === '' || name === 'Object' ? 'an object' : `a value of class ${name}`
}

/** Returns the name of the nearest class that has one: a generator object is of a nameless one. */
function classOf(value: object): string {
  const { constructor } = value as { constructor?: { name?: unknown } }
  if (typeof constructor?.name === 'string' && constructor.name !== '') return constructor.name
  const tag: unknown = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
  return typeof tag === 'string' ? tag : ''
}
