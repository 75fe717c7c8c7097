// Latency at a fixed rate, memory for a gigabyte, and WebSockets, beside others.
import { median } from '../../measure/statistics.mjs'
import { nodesIn } from '../figures.mjs'
import { digits, nodesText, range } from '../format.mjs'
import { besideLeast, kindOf, namesOf, sentenceOf, sortedOut } from './compare.mjs'

export function onLatency({ rows, rate }) {
  const fine = rows
    .filter(({ failure, p50 }) => failure === undefined && p50.length > 0)
    .map((row) => ({ ...row, p50: median(row.p50), p99: median(row.p99) }))
  return ['p50', 'p99'].flatMap((kind) => onQuantile(fine, kind, rate))
}

function onQuantile(rows, kind, rate) {
  return onKind(rows, kind, `**${kind} at ${digits(rate)} requests a second**`, 'ms')
}

const kinds = [
  ['idle', '**An idle WebSocket**', 'bytes'],
  ['cpu', '**A message over a WebSocket**', 'µs of CPU'],
]

export function onWebSockets({ rows }) {
  const fine = rows.filter(({ failure }) => failure === undefined)
  return kinds.flatMap(([kind, what, unit]) => onKind(fine, kind, what, unit))
}

function onKind(rows, kind, title, unit) {
  const { ahead, behind } = sortedOut(rows, kind)
  const own = rows.filter(({ name }) => name === 'sluiceway').map((row) => row[kind])
  if (own.length === 0) return []
  const what = `${title}: ${range(own)} ${unit} (${nodesText(nodesIn(rows))})`
  return [
    behind.length > 0 && {
      kind: 'cheaper',
      text: `${what}. Others, as multiples of it: ${namesOf(behind)}.`,
    },
    ahead.length > 0 && { kind: 'dearer', text: `${what}. Others have less of it: ${namesOf(ahead)}.` },
  ].filter(Boolean)
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
