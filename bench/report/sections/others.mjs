// The sections of the other benchmarks.
import { works } from '../../load/works.mjs'
import { median } from '../../measure/statistics.mjs'
import { nodesIn } from '../figures.mjs'
import { digits, joined, nodesText, table } from '../format.mjs'

export function latencyBody({ rate, rounds, settleMs, upstream, rows }) {
  const fine = rows.filter(({ failure, p99 }) => failure === undefined && p99.length > 0)
  const nodes = nodesIn(fine)
  const lines = groups(fine).map((all) => [
    all[0].title,
    joined(all.map(({ p50 }) => median(p50))),
    joined(all.map(({ p99 }) => median(p99))),
    joined(all.map(({ perSecond }) => perSecond)),
  ])
  return [
    `The small GET, ${digits(rate)} requests a second to each whether the answers are quick or not: half of what the slowest of them can do. Upstream: ${upstream}; medians of ${rounds} rounds${settledText(settleMs)}, on ${nodesText(nodes)}. The last column is what each did when it was asked as fast as it answers, which is not a measure of its CPU: load and upstream share a core.`,
    table(['', 'p50, ms', 'p99, ms', 'requests per second at most'], lines),
    ...rows.filter(({ failure }) => failure).map(({ title, failure }) => `${title}: ${failure}.`),
  ].join('\n\n')
}

/** Earlier results have none. */
function settledText(ms) {
  return ms === undefined ? '' : `, each after ${digits(ms)} ms at the same rate that are not counted`
}

function groups(rows) {
  return [...new Set(rows.map(({ name }) => name))].map((name) => rows.filter((row) => row.name === name))
}

export function memoryBody({ rows, missing }) {
  const lines = rows.map(({ title, node, down, up }) => [title, node ?? '', megabytes(down), megabytes(up)])
  return [
    'One body of 1 GB to a side that rests for 2 ms after each MB it reads: the client, or the upstream. Largest resident memory above that of the same process after a second of small requests, in MB; one run each.',
    ...missing,
    table(['', 'Node', '1 GB down', '1 GB up'], lines),
  ].join('\n\n')
}

function megabytes(value) {
  return typeof value === 'number' ? digits(value) : `failed: ${value}`
}

export function websocketsBody({ node, rounds, idle, busy, missing, rows }) {
  const lines = rows.map(({ title, failure, idle: bytes, cpu, p50, p99, errors }) =>
    failure === undefined
      ? [title, digits(bytes / 1024), digits(cpu), digits(p50), digits(p99), errors]
      : [title, `failed: ${failure}`, '', '', '', ''],
  )
  const headings = [`KB for each of ${idle} idle ones`, 'CPU, µs per message', 'p50, ms', 'p99, ms', 'errors']
  return [
    `Resident memory for each idle WebSocket, after a garbage collection; and ${busy} that send a message of 100 bytes as soon as the last one has come back, on Node ${node}. Medians of ${rounds} rounds; a message is one each way.`,
    ...missing,
    table(['', ...headings], lines),
  ].join('\n\n')
}

export function loadingBody({ rounds, byNode }) {
  const nodes = Object.keys(byNode)
  const columns = byNode[nodes[0]].map(({ name }) => {
    const rows = nodes.map((node) => byNode[node].find((row) => row.name === name))
    const beside =
      name === 'Express'
        ? ['', '']
        : ['cpu', 'rss'].map((kind) => joined(rows.map((row) => row.beside[kind])))
    return [subpath(name), joined(rows.map(({ cpu }) => cpu)), joined(rows.map(({ rss }) => rss)), ...beside]
  })
  return [
    `One \`import\` in a fresh process: CPU and resident memory above a Node that imports nothing, and above one that has imported Express. The least of ${rounds} processes each, on ${nodesText(nodes)}.`,
    table(['', 'CPU, ms', 'memory, MB', 'beside Express: CPU, ms', 'memory, MB'], columns),
  ].join('\n\n')
}

function subpath(name) {
  if (name === 'Express') return name
  return name === 'index' ? '`sluiceway`' : `\`sluiceway/${name}\``
}

export function idleBody({ node, connections, rounds, rows }) {
  const lines = rows.map(({ name, used, rss }) => [name, digits(used / 1024), digits(rss / 1024)])
  return [
    `${connections} clients that keep their connection after one JSON POST, after a garbage collection; median of ${rounds} processes on Node ${node}.`,
    table(['', 'heap and buffers, KB per connection', 'resident memory, KB per connection'], lines),
  ].join('\n\n')
}

const KINDS = ['cpu', 'perSecond', 'p50', 'p99', 'peak', 'errors']

export function connectionsBody({ node, rounds, upstream, rows }) {
  const lines = rows.map(({ entry, connections, failure, ...row }) => [
    entry,
    connections,
    ...(failure === undefined
      ? KINDS.map((kind) => (kind === 'errors' ? row[kind] : digits(row[kind])))
      : KINDS.map((_, index) => (index === 0 ? `failed: ${failure}` : ''))),
  ])
  const headings = [
    'CPU, µs per request',
    'requests per second',
    'p50, ms',
    'p99, ms',
    'peak memory, MB',
    'errors',
  ]
  return [
    `The small GET on Node ${node}, each client on a connection of its own; sluiceway has \`maxQueue: 10_000\`, as the others let all requests wait. Upstream: ${upstream}; median of ${rounds} rounds.`,
    table(['', 'connections', ...headings], lines),
  ].join('\n\n')
}

export function workersBody({ node, rounds, cores, upstream, rows }) {
  const lines = rows.map((row) => [
    row.workers,
    digits(row.perSecond),
    (row.perSecond / rows[0].perSecond).toFixed(2),
    digits(row.cpu),
    digits(row.p99),
    row.errors,
  ])
  return [
    `The small GET through 1 to 4 processes of \`node:cluster\`, Node ${node}, 64 connections. This machine has ${cores} cores, which the load and the upstream (${upstream}) need too, so more processes than that cannot help here; median of ${rounds} rounds.`,
    table(
      ['processes', 'requests per second', 'of one process', 'CPU, µs per request', 'p99, ms', 'errors'],
      lines,
    ),
  ].join('\n\n')
}

export function syscallsBody({ node, requests, results }) {
  const [{ entry: _entry, work: _work, ...kinds }] = results
  const lines = results.map(({ entry, work, ...counts }) => [
    entry,
    works[work].title,
    ...Object.values(counts).map((count) => count.toFixed(2)),
  ])
  return [
    `Calls per request of the proxy's process, by \`strace -f\`, over ${requests} requests after a warm-up, on Node ${node}: reads and writes by whom they are with.`,
    table(['', '', ...Object.keys(kinds)], lines),
  ].join('\n\n')
}
