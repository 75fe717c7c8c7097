/** A list that counts how often one of its values is read. */
export function countedList(values: readonly string[]): { list: string[]; reads: () => number } {
  let count = 0
  const list = new Proxy([...values], {
    get(target, key, receiver): unknown {
      if (typeof key === 'string' && /^\d+$/.test(key)) count += 1
      return Reflect.get(target, key, receiver)
    },
  })
  return { list, reads: () => count }
}
