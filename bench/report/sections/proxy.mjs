// The section of the proxies: a table for each work, and what each of them gets right.
import { titles } from '../../correctness/checks.mjs'
import { works } from '../../load/works.mjs'
import { nodesIn, rowsOf } from '../figures.mjs'
import { digits, joined, nodesText, table } from '../format.mjs'

export function proxyBody(result) {
  const parts = Object.keys(result.works).map((name) => workTable(result, name))
  return [
    `Upstream: ${result.upstream}. Medians of ${result.rounds} rounds; CPU of the proxy's process, all its threads. What is not on Node was run once, and is repeated in each column. "Above Express" is what a proxy in Express adds to an Express that gives the same answer itself.`,
    versions(result.entries),
    ...result.missing,
    ...parts,
    '### What they get right',
    checksTable(result),
  ].join('\n\n')
}

function versions(entries) {
  const named = entries.flatMap(({ versions: of }) =>
    Object.entries(of).map(([name, version]) => `${name} ${version}`),
  )
  return `Versions: ${[...new Set(named)].join(', ')}. Those on node:http have a keep-alive agent; Go has \`GOMAXPROCS=1\`, nginx one worker.`
}

function workTable(result, name) {
  const { title, detail, unit, bytes } = works[name]
  const rows = rowsOf(result, name)
  const nodes = nodesIn(rows)
  const headings = [
    '',
    ...nodes.map((node) => `CPU, µs per ${unit}, Node ${node}`),
    'above Express',
    ...(bytes ? ['MB per CPU second'] : []),
    'p50, ms',
    'p99, ms',
    'peak memory, MB',
    'errors',
  ]
  const lines = linesOf(rows, nodes, bytes)
  const order =
    nodes.length > 1 ? ` Where a cell has several figures they are those of ${nodesText(nodes)}.` : ''
  const again = result.again?.[name]
  const when = again === undefined ? '' : ` Run again: ${again.date} UTC, commit ${again.commit}.`
  return `### ${title}\n\n${detail}.${order}${when}\n\n${table(headings, lines)}${leftOut(result, name)}`
}

function linesOf(rows, nodes, bytes) {
  const names = [...new Set(rows.map(({ name }) => name))]
  return names.map((name) => {
    const all = rows.filter((row) => row.name === name)
    const onNodes = nodes.map((node) => all.find((row) => row.node === node || row.node === undefined))
    const cell = (kind) => joined(all.map((row) => row[kind]))
    return [
      name.startsWith('sluiceway') ? `**${all[0].title}**` : all[0].title,
      ...onNodes.map((row) => digits(row?.cpu)),
      all[0].above === undefined ? '' : cell('above'),
      ...(bytes ? [cell('perCpuSecond')] : []),
      ...['p50', 'p99', 'peak'].map(cell),
      all.reduce((total, { errors }) => total + errors, 0),
    ]
  })
}

/** Those that were not timed, and those that failed while they were. */
function leftOut({ entries, targets, works: results }, work) {
  const named = ({ name, node }) =>
    `${entries.find((entry) => entry.name === name).title}${node === undefined ? '' : ` on Node ${node}`}`
  const wrong = targets.filter(({ excluded }) => excluded.includes(work)).map(named)
  const failed = targets
    .filter(({ key }) => results[work][key]?.failure !== undefined)
    .map((target) => `${named(target)} (${results[work][target.key].failure})`)
  return [
    wrong.length > 0 ? `\n\nNot timed, as the bytes are wrong: ${wrong.join(', ')}.` : '',
    failed.length > 0 ? `\n\nNot finished: ${failed.join(', ')}.` : '',
  ].join('')
}

function checksTable({ entries, targets }) {
  const proxies = entries.filter(({ host }) => host !== 'floor')
  const rows = titles.map((title) => [title, ...proxies.map(({ name }) => verdict(targets, name, title))])
  return table(['', ...proxies.map(({ title }) => title)], rows) + failures(proxies, targets)
}

/** "yes", or on which Node it is not so where that differs. */
function verdict(targets, name, title) {
  const all = targets.filter((target) => target.name === name)
  const bad = all.filter(({ failed }) => failed[title] !== undefined)
  if (bad.length === 0) return 'yes'
  return bad.length === all.length ? '**no**' : `**no** on ${bad.map(({ node }) => node).join(', ')}`
}

/** What came instead, with all that it came from. */
function failures(proxies, targets) {
  const from = new Map()
  for (const { name, failed } of targets) {
    const { title } = proxies.find((proxy) => proxy.name === name) ?? {}
    for (const [check, what] of Object.entries(failed)) {
      const line = `- ${check}: ${what.replace(/\s+/g, ' ')}`
      from.set(line, (from.get(line) ?? new Set()).add(title ?? name))
    }
  }
  if (from.size === 0) return ''
  return `\n\nWhat came instead:\n\n${[...from].map(([line, of]) => `${line} (${[...of].join(', ')})`).join('\n')}`
}
