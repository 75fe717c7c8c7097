// README's picture, table and list of the proxies.
import { describePanels, readmePanels } from '../chart.mjs'
import { middleNode, nodesIn, rowsOf } from '../figures.mjs'
import { digits, joined, nodesText, table } from '../format.mjs'
import { othersAhead } from '../verdicts.mjs'

export function proxyParts(results) {
  return [{ file: 'README.md', name: 'proxy', text: readmeProxy(results) }]
}

function readmeProxy(results) {
  const rows = rowsOf(results.proxy, 'get')
  const nodes = nodesIn(rows)
  return [
    `![${describePanels(results.proxy, readmePanels)}](docs/proxy-cost.svg)`,
    `Microseconds of CPU for a GET of 300 bytes, on ${nodesText(nodes)} (what is not on Node was run once):`,
    getTable(rows, nodes),
    'Where others are ahead in what matters most; [the whole table](docs/benchmarks.md#beside-its-peers):',
    othersAhead(results),
  ].join('\n\n')
}

function getTable(rows, nodes) {
  const middle = middleNode(nodes)
  const names = rows
    .filter(({ node, host }) => host !== 'floor' && (node === middle || node === undefined))
    .toSorted((a, b) => a.cpu - b.cpu)
    .map(({ name }) => name)
  return table(
    ['', 'in all', 'above Express alone', 'runs in'],
    names.map((name) => lineOf(rows, name)),
  )
}

function lineOf(rows, name) {
  const all = rows.filter((row) => row.name === name)
  const [{ title, host, above }] = all
  return [
    name.startsWith('sluiceway') ? `**${title}**` : title,
    all.map(({ cpu }) => digits(cpu)).join(' · '),
    above === undefined ? '' : joined(all.map((row) => row.above)),
    host === 'none' ? 'a process of its own' : host,
  ]
}
