// What is measured of the entries: those on Node once for each version, the others once.
import { isOnNode } from './index.mjs'

/** `{ key, name, title, host, node }` each. */
export function targetsOf(entries, nodes) {
  return entries.flatMap((entry) => {
    const { name, title, host } = entry
    if (!isOnNode(entry)) return [{ key: name, name, title, host }]
    return nodes.map((node) => ({ key: `${name}@${node.major}`, name, title, host, node }))
  })
}
