// Idle event streams, and refused uploads, beside others.
import { digits, listed } from '../format.mjs'
import { isLess, onKind } from './compare.mjs'

export function onStreams({ node, rows }, most) {
  const fine = rows
    .filter(({ failure }) => failure === undefined)
    .map((row) => ({ ...row, node: row.host === 'none' ? undefined : node, kilobytes: row.rss / 1024 }))
  return onKind(fine, 'kilobytes', { title: 'An idle event stream', unit: 'KB', most })
}

export function onRefused({ node, clients, rows }, most) {
  const all = rows
    .filter(({ name, cpu }) => cpu !== undefined && name !== 'patient-max-bytes')
    .map((row) => ({
      ...row,
      name: row.name === 'max-bytes' ? 'sluiceway' : row.name,
      node: row.name === 'nginx' ? undefined : node,
      ms: row.cpu / 1000,
    }))
  const crowds = [...new Set(rows.map(({ crowd }) => crowd))]
  return crowds.flatMap((crowd) => {
    const here = all.filter((row) => row.crowd === crowd)
    const title = `A refused upload, ${clients.toLocaleString('en')} clients at once, ${crowd}`
    return [
      ...onKind(here, 'ms', { title, unit: 'ms of CPU with maxBytes', most }),
      ...onDelivery(here, title),
    ]
  })
}

/** Who delivers the 413 to more clients than maxBytes does. */
function onDelivery(rows, title) {
  const own = rows.find(({ name }) => name === 'sluiceway')
  const ahead = rows.filter(({ delivered }) => own && isLess(own.delivered / delivered))
  if (ahead.length === 0) return []
  const names = listed(ahead.map((row) => `${row.title} to ${digits(row.delivered * 100)} %`))
  const text = `**${title}**: maxBytes delivers the 413 to ${digits(own.delivered * 100)} % of them, ${names}.`
  return [{ kind: 'dearer', text }]
}
