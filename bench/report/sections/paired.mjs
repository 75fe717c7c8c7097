// The sections of the middlewares: variants of one route, in paired rounds.
import { digits, joined, nodesText, table } from '../format.mjs'

/** What is measured of some cases only. */
const extras = {
  bytes: (unit) => `bytes per ${unit}`,
  writes: (unit) => `writes to the socket per ${unit}`,
  peak: () => 'MB more at the peak',
}

export function pairedBody({ cases }) {
  return cases.map(caseTable).join('\n\n')
}

function caseTable({ title, unit, rounds, amount, byNode }) {
  const nodes = Object.keys(byNode).filter((node) => byNode[node].rows)
  const failed = Object.keys(byNode).filter((node) => byNode[node].failure)
  const first = byNode[nodes[0]]?.rows ?? []
  const more = Object.keys(extras).filter((kind) => first.some((row) => row[kind] !== undefined))
  const headings = [
    '',
    ...nodes.map((node) => `CPU, µs per ${unit}, Node ${node}`),
    'of the first',
    'in the quietest tenth',
    ...more.map((kind) => extras[kind](unit)),
  ]
  const lines = first.map(({ name }) =>
    lineOf(
      nodes.map((node) => rowNamed(byNode[node], name)),
      more,
    ),
  )
  const slice = unit === 'event' ? 'one stream of 4000 events' : `${amount} ${unit}${amount === 1 ? '' : 's'}`
  const order =
    nodes.length > 1 ? ` Where a cell has several figures they are those of ${nodesText(nodes)}.` : ''
  const notes = failed.map((node) => `\n\nNot finished on Node ${node}: ${byNode[node].failure}.`)
  return `### ${title}\n\nMedian of ${rounds} paired rounds of ${slice}.${order}\n\n${table(headings, lines)}${notes.join('')}`
}

export function rowNamed({ rows }, name) {
  return rows.find((row) => row.name === name)
}

function lineOf(rows, more) {
  const ratios = (kind) => rows.map((row) => row[kind].toFixed(3)).join(' · ')
  return [
    rows[0].name.replaceAll('|', '\\|'),
    ...rows.map(({ cpu }) => digits(cpu)),
    ratios('ratio'),
    ratios('quietest'),
    ...more.map((kind) => joined(rows.map((row) => row[kind]))),
  ]
}
