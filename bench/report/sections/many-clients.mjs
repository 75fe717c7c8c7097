// The sections with very many clients at once: refused uploads, and idle event streams.
import { digits, table } from '../format.mjs'

export function refusedBody({ node, clients, missing, rows }) {
  const crowds = [...new Set(rows.map(({ crowd }) => crowd))]
  return [
    `${clients.toLocaleString('en')} clients at once send 10 MB each to a limit of 100 KB, on Node ${node}; one run each. The CPU time of the server's process, and the memory that it needs more at the peak, are divided by the number of uploads. The bytes sent include those that still lie in the system's buffers when the client leaves.`,
    ...missing,
    ...crowds.map((crowd) => refusedTable(crowd, rows)),
  ].join('\n\n')
}

const refusedHeadings = [
  'clients with the 413',
  'CPU, ms per upload',
  'memory, KB per upload',
  'MB sent by each',
  'median time, s',
]

function refusedTable(crowd, rows) {
  const all = rows.filter((row) => row.crowd === crowd)
  const lines = all.map(({ title, failure, delivered, cpu, memory, written, ms }) => {
    if (failure !== undefined) return [title, `failed: ${failure}`, '', '', '', '']
    const figures = [cpu / 1000, memory / 1024, written / 1e6, ms / 1000].map(digits)
    return [title, `${digits(delivered * 100)} %`, ...figures]
  })
  return `### Clients: ${crowd}\n\n${table(['', ...refusedHeadings], lines)}${insteadOf(all)}`
}

function insteadOf(rows) {
  const lines = rows
    .map(({ title, instead = {} }) => ({ title, all: Object.entries(instead) }))
    .filter(({ all }) => all.length > 0)
    .map(({ title, all }) => `${title}: ${all.map(([outcome, count]) => `${count} × ${outcome}`).join(', ')}`)
  return lines.length === 0 ? '' : `\n\nWhat came instead of a 413: ${lines.join('; ')}.`
}

const streamHeadings = [
  'resident memory, KB per stream',
  'heap and buffers, KB per stream',
  'CPU, µs to open one',
  'errors',
]

export function streamsBody({ node, streams, files, processes, missing, rows }) {
  const lines = rows.map(({ title, failure, host, rss, used, cpu, errors }) => {
    if (failure !== undefined) return [title, `failed: ${failure}`, '', '', '']
    return [title, digits(rss / 1024), host === 'none' ? '' : digits(used / 1024), digits(cpu), errors]
  })
  return [
    `${streams.toLocaleString('en')} clients, each with an event stream on which nothing happens, after a garbage collection, on Node ${node}. Memory is counted above that of the same process after small requests and some streams. "Express alone" holds the streams itself, with one connection for each; the proxies have two. A stream is an error if it did not open, or if the one event at the end did not come on it.`,
    ...(processes > 1 ? [spread(files, processes)] : []),
    ...missing,
    table(['', ...streamHeadings], lines),
  ].join('\n\n')
}

function spread(files, processes) {
  return `The limit of open files could not be raised above ${files.toLocaleString('en')} here, and each stream through a proxy needs two. So the streams are spread over ${processes} processes of each proxy, all open at once; figures are sums, divided by the number of streams.`
}
