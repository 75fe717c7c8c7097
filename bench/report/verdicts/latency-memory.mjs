// Latency at a fixed rate, memory for a gigabyte, and WebSockets, beside others.
import { median } from '../../measure/statistics.mjs'
import { digits } from '../format.mjs'
import { besideLeast, kindOf, onKind, sentenceOf } from './compare.mjs'

export function onLatency({ rows, rate }, most) {
  const fine = rows
    .filter(({ failure, p50 }) => failure === undefined && p50.length > 0)
    .map((row) => ({ ...row, p50: median(row.p50), p99: median(row.p99) }))
  return ['p50', 'p99'].flatMap((kind) => {
    const title = `${kind} at ${digits(rate)} requests a second`
    return onKind(fine, kind, { title, unit: 'ms', most })
  })
}

const kinds = [
  ['idle', 'An idle WebSocket', 'bytes'],
  ['cpu', 'A message over a WebSocket', 'µs of CPU'],
]

export function onWebSockets({ rows }, most) {
  const fine = rows.filter(({ failure }) => failure === undefined)
  return kinds.flatMap(([kind, title, unit]) => onKind(fine, kind, { title, unit, most }))
}

export function onMemory({ rows }) {
  return ['down', 'up'].flatMap((way) => {
    const fine = rows.filter((row) => typeof row[way] === 'number')
    const pair = besideLeast(fine, way, ({ node }) => node !== undefined)
    if (pair === undefined) return []
    const what = { what: `1 GB ${way} to a slow side takes`, ...pair }
    const text = `**Memory for a gigabyte**, on Node ${pair.node}: ${sentenceOf([what], 'MB more than small requests')}, the least of the peers on Node.`
    return [{ kind: kindOf(pair.ratio), text }]
  })
}
