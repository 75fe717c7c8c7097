// Latency at a fixed rate, memory for a gigabyte, and WebSockets, beside others.
import { median } from '../../measure/statistics.mjs'
import { middleNode, nodesIn } from '../figures.mjs'
import { digits } from '../format.mjs'
import { beside } from './compare.mjs'

export function onLatency({ rows, rate }) {
  const fine = rows
    .filter(({ failure, p50 }) => failure === undefined && p50.length > 0)
    .map((row) => ({ ...row, p50: median(row.p50), p99: median(row.p99) }))
  return ['p50', 'p99'].flatMap((kind) => {
    const work = `${kind} at ${digits(rate)} requests a second`
    return beside(fine, kind, { work, unit: 'ms' })
  })
}

export function onWebSockets({ rows }) {
  const fine = rows.filter(({ failure }) => failure === undefined)
  return [
    ...beside(fine, 'idle', { work: 'An idle WebSocket', unit: 'bytes' }),
    ...beside(fine, 'cpu', { work: 'A message over a WebSocket', unit: 'µs of CPU' }),
  ]
}

/**
 * Only beside those on Node, of which peers were measured on one: memory that others get ready when they start cannot
 * be told from what a request takes.
 */
export function onMemory({ rows }) {
  return ['down', 'up'].flatMap((way) => {
    const fine = rows.filter((row) => typeof row[way] === 'number')
    const here = fine.filter(({ node }) => node === middleNode(nodesIn(fine)))
    return beside(here, way, { work: `1 GB ${way} to a slow side`, unit: 'MB more than for small requests' })
  })
}
