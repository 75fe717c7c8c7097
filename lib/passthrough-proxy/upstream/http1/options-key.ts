const identities = new WeakMap<object, number>()
let last = 0

/**
 * Returns a text that is equal for equal options: plain values are compared by value, functions and other objects by
 * identity. It is a digest, as the values may include private keys.
 */
export function optionsKey(options: object): string {
  return process
    .getBuiltinModule('node:crypto')
    .createHash('sha256')
    .update(describe(options))
    .digest('base64')
}

function describe(value: unknown): string {
  if (ArrayBuffer.isView(value))
    return `b:${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}`
  if (Array.isArray(value)) return `[${value.map(describe).join(',')}]`
  if (isPlain(value))
    return `{${Object.entries(value).filter(isGiven).toSorted(byName).map(describe).join(',')}}`
  if (typeof value === 'function' || (typeof value === 'object' && value !== null))
    return `#${identityOf(value)}`
  return `${typeof value}:${typeof value === 'string' ? JSON.stringify(value) : String(value)}`
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function isGiven([, value]: [string, unknown]): boolean {
  return value !== undefined
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1
}

function identityOf(value: object): number {
  const known = identities.get(value)
  if (known !== undefined) return known
  last += 1
  identities.set(value, last)
  return last
}
