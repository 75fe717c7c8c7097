// Idle event streams, and refused uploads, beside others.
import { digits, listed } from '../format.mjs'
import { beside, isLess } from './compare.mjs'

export function onStreams({ node, rows }) {
  const fine = rows
    .filter(({ failure }) => failure === undefined)
    .map((row) => ({ ...row, node: row.host === 'none' ? undefined : node, kilobytes: row.rss / 1024 }))
  return beside(fine, 'kilobytes', { work: 'An idle event stream', unit: 'KB' })
}

export function onRefused({ node, clients, rows }) {
  const all = measured(rows).map((row) => ({
    ...row,
    name: row.name === 'max-bytes' ? 'sluiceway' : row.name,
    node: row.name === 'nginx' ? undefined : node,
    ms: row.cpu / 1000,
  }))
  return crowdsIn(rows).flatMap((crowd) =>
    beside(inCrowd(all, crowd), 'ms', { work: workOf(clients, crowd), unit: 'ms of CPU with maxBytes' }),
  )
}

/** Who delivers the 413 to more clients than maxBytes does: a sentence for each crowd. */
export function onDelivery({ clients, rows }) {
  return crowdsIn(rows).flatMap((crowd) => {
    const here = inCrowd(measured(rows), crowd)
    const own = here.find(({ name }) => name === 'max-bytes')
    const ahead = here.filter(({ delivered }) => own && isLess(own.delivered / delivered))
    if (ahead.length === 0) return []
    const names = listed(ahead.map((row) => `${row.title} to ${digits(row.delivered * 100)} %`))
    return [
      `${workOf(clients, crowd)}: maxBytes delivers the 413 to ${digits(own.delivered * 100)} % of them, ${names}.`,
    ]
  })
}

function measured(rows) {
  return rows.filter(({ name, cpu }) => cpu !== undefined && name !== 'patient-max-bytes')
}

function crowdsIn(rows) {
  return [...new Set(rows.map(({ crowd }) => crowd))]
}

function inCrowd(rows, crowd) {
  return rows.filter((row) => row.crowd === crowd)
}

function workOf(clients, crowd) {
  return `A refused upload, ${clients.toLocaleString('en')} clients at once, ${crowd}`
}
