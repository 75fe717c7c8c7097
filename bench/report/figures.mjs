// What the figures of the proxies say: medians of the rounds, cost above the floor, and who was best.
import { works } from '../load/works.mjs'
import { median } from '../measure/statistics.mjs'

/** The rows of one work, in the order of the entries: `{ name, title, host, cpu, above, p50, p99, peak, perCpuSecond }`. */
export function rowsOf({ entries, works: results }, work) {
  const timed = entries.filter(({ name }) => results[work][name])
  const floor = results[work].floor && median(results[work].floor.cpu)
  return timed.map(({ name, title, host }) => {
    const { cpu, p50, p99, peak, errors } = results[work][name]
    const microseconds = median(cpu)
    return {
      name,
      title,
      host,
      cpu: microseconds,
      lowestAbove: floor === undefined ? undefined : Math.min(...cpu) - Math.min(...results[work].floor.cpu),
      above: host === 'floor' || floor === undefined ? undefined : microseconds - floor,
      p50: median(p50),
      p99: median(p99),
      peak: median(peak),
      errors,
      perCpuSecond: works[work].bytes && works[work].bytes / microseconds,
    }
  })
}

/** Ours, the peers, and those of them in Express. */
export function sidesOf(rows) {
  const peers = rows.filter(({ name, host }) => name !== 'sluiceway' && host !== 'floor')
  return {
    own: rows.find(({ name }) => name === 'sluiceway'),
    peers,
    inExpress: peers.filter(({ host }) => host === 'Express'),
  }
}

export function least(rows, kind) {
  return rows.reduce((best, row) => (row[kind] < best[kind] ? row : best))
}

export function most(rows, kind) {
  return rows.reduce((best, row) => (row[kind] > best[kind] ? row : best))
}
