// What an event costs with autoFlush: README's table, and the longer one of docs/auto-flush.md.
import { middleNode } from '../figures.mjs'
import { digits, table } from '../format.mjs'

const GZIP = ['server-sent events through gzip, one a turn', 'server-sent events through gzip, ten a turn']
const PLAIN = ['server-sent events as they are, one a turn', 'server-sent events as they are, ten a turn']

const readme = [
  ['never flushed: nothing arrives before the end', GZIP, 'never flushed'],
  ['`res.flush()` after each write', GZIP, 'res.flush() after each write'],
  ['**autoFlush**', GZIP, 'autoFlush()'],
]

const page = [
  ['gzip, never flushed', GZIP, 'never flushed'],
  ['gzip, `res.flush()` after each write, without autoFlush', GZIP, 'res.flush() after each write'],
  ['gzip, `autoFlush()`', GZIP, 'autoFlush()'],
  ["gzip, `coalesce: 'tick'`", GZIP, "autoFlush({ coalesce: 'tick' })"],
  ['gzip, `coalesce: 10`, up to 10 ms later', GZIP, 'autoFlush({ coalesce: 10 })'],
  ['uncompressed, without autoFlush', PLAIN, 'without'],
  ['uncompressed, `autoFlush()`', PLAIN, 'autoFlush()'],
  ['uncompressed, `filter`', PLAIN, 'autoFlush({ filter })'],
  ['uncompressed, `heartbeatMs`', PLAIN, 'autoFlush({ heartbeatMs })'],
  ['uncompressed, `sync`: a system call for each write', PLAIN, 'autoFlush({ sync })'],
]

export function flushParts(result) {
  return [
    { file: 'README.md', name: 'flush', text: tableOf(result, readme) },
    { file: 'docs/auto-flush.md', name: 'flush', text: tableOf(result, page) },
  ]
}

function tableOf({ cases, nodes }, rows) {
  const majors = Object.keys(nodes)
  const node = middleNode(majors)
  const lines = rows.map(([title, titles, name]) => [
    title,
    ...titles.map((each) => cellOf(cases, each, name, node)),
  ])
  return table([`Node ${nodes[node]}`, 'one write a turn', 'ten writes a turn'], lines)
}

function cellOf(cases, title, name, node) {
  const rows = cases.find((one) => one.title === title)?.byNode[node]?.rows
  const row = rows?.find((each) => each.name === name)
  return row ? `${digits(row.cpu)} µs, ${digits(row.bytes)} bytes` : ''
}
