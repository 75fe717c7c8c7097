/*
 * How the requests of a proxy go upstream in this run: through the built-in client, or through a dispatcher of
 * undici 7 or 8 that takes its place (`SLUICEWAY_TRANSPORT=undici` or `undici8`, with `--import` of over-undici.js).
 */

import type { Context } from 'mocha'

export const transport: string = process.env['SLUICEWAY_TRANSPORT'] ?? 'built-in'

/** Skips a test that needs the built-in client, and says why undici fails it. */
export function needsOwnClient(test: Context, reason: string): void {
  if (transport === 'built-in') return
  console.log(`      skipped over ${transport}: ${reason}`)
  test.skip()
}
