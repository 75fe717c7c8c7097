import { chunks } from './response-chunks.js'
import { endings } from './response-endings.js'
import type { HostileResponse } from './response-entry.js'
import { floodsAndSplits } from './response-floods.js'
import { framings } from './response-framings.js'
import { heads } from './response-heads.js'
import { moments } from './response-moments.js'

/** All of them, in an order that stays the same. */
export const hostileResponses: readonly HostileResponse[] = named([
  ...heads,
  ...framings,
  ...chunks,
  ...endings,
  ...moments,
  ...floodsAndSplits,
])

/** Each has a name of its own, so that a list of exceptions can tell which it means. */
function named(entries: readonly HostileResponse[]): readonly HostileResponse[] {
  const names = new Set<string>()
  for (const { name } of entries) {
    if (names.has(name)) throw new Error(`two entries are called ${name}`)
    names.add(name)
  }
  return entries
}
