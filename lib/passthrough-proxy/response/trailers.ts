import type { ServerResponse } from 'node:http'
import { isHttp2 } from '../../node/request/facts.js'
import { HeaderList } from '../headers/header-list.js'

/** Adds trailers. Node itself omits them if it sends no chunks: with HTTP/1.0, or for HEAD. */
export function writeTrailers(res: ServerResponse, lines: string[]): void {
  const pairs = [...new HeaderList(lines)] as [string, string][]
  // Over HTTP/2 Node accepts them only by name.
  if (isHttp2(res.req)) res.addTrailers(Object.fromEntries(joined(pairs)))
  else res.addTrailers(pairs)
}

/** Joins the values of each name (RFC 9110 §5.3). */
function joined(pairs: readonly [string, string][]): Map<string, string> {
  const values = new Map<string, string>()
  for (const [name, value] of pairs) {
    const key = name.toLowerCase()
    const before = values.get(key)
    values.set(key, before === undefined ? value : `${before}, ${value}`)
  }
  return values
}
