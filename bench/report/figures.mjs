// What the figures of the proxies say: medians of the rounds, cost above the floor, and who was best.
import { works } from '../load/works.mjs'
import { median } from '../measure/statistics.mjs'

/**
 * The rows of one work, in the order of the entries, one for each Node: `{ name, title, host, node, cpu, above, p50, p99,
 * peak, perCpuSecond, errors }`. `node` is undefined for what is not on Node.
 */
export function rowsOf({ entries, targets, works: results }, work) {
  const figures = results[work] ?? {}
  return targets
    .filter(({ key }) => figures[key] && figures[key].failure === undefined)
    .map(({ key, name, node }) => {
      const { title, host } = entries.find((entry) => entry.name === name)
      return {
        name,
        title,
        host,
        node,
        ...rowOf(figures[key], figures[`floor@${node}`], host, works[work].bytes),
      }
    })
}

function rowOf({ cpu, p50, p99, peak, errors }, floor, host, bytes) {
  const microseconds = median(cpu)
  const isAbove = host === 'Express' && floor?.cpu !== undefined
  return {
    cpu: microseconds,
    above: isAbove ? microseconds - median(floor.cpu) : undefined,
    p50: median(p50),
    p99: median(p99),
    peak: median(peak),
    errors,
    perCpuSecond: bytes && bytes / microseconds,
  }
}

/** What happened on one Node: ours in Express and without, the peers beside it. Those not on Node are beside each. */
export function sidesOf(rows, node) {
  const here = rows.filter((row) => row.node === node || row.node === undefined)
  const peers = here.filter(({ name, host }) => !name.startsWith('sluiceway') && host !== 'floor')
  return {
    own: here.find(({ name }) => name === 'sluiceway'),
    bare: here.find(({ name }) => name === 'sluiceway-bare'),
    floor: here.find(({ host }) => host === 'floor'),
    peers,
    inExpress: peers.filter(({ host }) => host === 'Express'),
    onNode: peers.filter((row) => row.node !== undefined),
    named: (name) => peers.find((peer) => peer.name === name),
  }
}

/** The versions of Node among rows, in their order. */
export function nodesIn(rows) {
  return [...new Set(rows.map(({ node }) => node).filter((node) => node !== undefined))]
}

/** The Node that stands for all where there is room for one: 24, or the newest. */
export function middleNode(majors) {
  return majors.includes('24') ? '24' : majors.at(-1)
}

export function least(rows, kind) {
  return rows.reduce((best, row) => (row[kind] < best[kind] ? row : best))
}

export function most(rows, kind) {
  return rows.reduce((best, row) => (row[kind] > best[kind] ? row : best))
}
