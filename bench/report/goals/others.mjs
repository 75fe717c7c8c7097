// The goals of latency at a fixed rate, of memory for a gigabyte, and of loading.
import { median } from '../../measure/statistics.mjs'
import { least, nodesIn, sidesOf } from '../figures.mjs'
import { digits } from '../format.mjs'
import { atMost } from './goal.mjs'

export function goalsOfLatency({ rows }) {
  const fine = rows
    .filter(({ failure }) => failure === undefined)
    .map((row) => ({ ...row, p50: median(row.p50), p99: median(row.p99) }))
  return nodesIn(fine).flatMap((node) => {
    const { own, inExpress } = sidesOf(fine, node)
    if (!own || inExpress.length === 0) return []
    return ['p50', 'p99'].map((kind) => {
      const peer = least(inExpress, kind)
      const text = `GET at a fixed rate, Node ${node}: ${kind}, against the lowest in Express`
      const beside = `${digits(own[kind])} ms, ${peer.title} ${digits(peer[kind])} ms`
      return atMost(text, 1, own[kind] / peer[kind], beside)
    })
  })
}

const MAX_MB = 16

export function goalsOfMemory({ rows }) {
  return rows
    .filter(({ name }) => name === 'sluiceway')
    .flatMap(({ node, ...row }) =>
      ['down', 'up']
        .filter((way) => typeof row[way] === 'number')
        .map((way) =>
          atMost(`1 GB ${way} to a slow side, Node ${node}: MB more at the peak`, MAX_MB, row[way], ''),
        ),
    )
}

/** Of the whole package and of the proxy, beside Express. */
export function goalsOfLoading({ byNode }) {
  return Object.entries(byNode).flatMap(([node, rows]) => {
    const express = rows.find(({ name }) => name === 'Express')
    return ['passthrough-proxy', 'index'].flatMap((name) => goalsOfImport(rows, express, name, node))
  })
}

function goalsOfImport(rows, express, name, node) {
  const row = rows.find((each) => each.name === name)
  const module = name === 'index' ? 'sluiceway' : `sluiceway/${name}`
  return [
    ['CPU', 'cpu', 'ms'],
    ['memory', 'rss', 'MB'],
  ].map(([what, kind, unit]) => {
    const beside = `${digits(row[kind])} ${unit}, Express ${digits(express[kind])} ${unit}`
    return atMost(
      `import '${module}', Node ${node}: ${what} beside Express`,
      0.5,
      row[kind] / express[kind],
      beside,
    )
  })
}
