// What the page says of each benchmark; `npm run bench` prints the same. In the order of the page.
import { titles } from '../correctness/checks.mjs'
import { works } from '../load/works.mjs'
import { rowsOf } from './figures.mjs'
import { digits, table } from './format.mjs'

export const sections = {
  proxy: { title: 'A proxied request', body: proxyBody },
  'max-bytes': { title: 'maxBytes', body: pairedBody },
  'body-cache': { title: 'bodyCache', body: pairedBody },
  'auto-flush': { title: 'autoFlush', body: pairedBody },
  'full-stack': { title: 'All four together', body: pairedBody },
  'idle-connections': { title: 'An idle connection', body: idleBody },
  connections: { title: 'More clients', body: connectionsBody },
  workers: { title: 'More processes', body: workersBody },
  syscalls: { title: 'System calls', body: syscallsBody },
  loading: { title: 'Loading', body: loadingBody },
}

function loadingBody({ rounds, rows }) {
  const [express, ...others] = rows
  const named = others.map((row) => ({
    ...row,
    title: row.name === 'index' ? '`sluiceway`' : `\`sluiceway/${row.name}\``,
  }))
  return [
    `One \`import\` in a fresh process: CPU and resident memory above a Node that imports nothing, and above one that has imported Express. The least of ${rounds} processes each.`,
    table(
      ['', 'CPU, ms', 'memory, MB', 'beside Express: CPU, ms', 'memory, MB'],
      [{ ...express, title: 'Express' }, ...named].map(({ title, cpu, rss, beside }) => [
        title,
        digits(cpu),
        digits(rss),
        beside ? digits(beside.cpu) : '',
        beside ? digits(beside.rss) : '',
      ]),
    ),
  ].join('\n\n')
}

function proxyBody(result) {
  const parts = Object.keys(result.works).map((name) => workTable(result, name))
  return [
    `Upstream: ${result.upstream}. Medians of ${result.rounds} rounds; CPU of the proxy's process, all its threads.`,
    versions(result.entries),
    ...result.missing,
    ...parts,
    '### What they get right',
    checksTable(result.entries),
  ].join('\n\n')
}

function versions(entries) {
  const named = entries.flatMap(({ versions: of }) =>
    Object.entries(of).map(([name, version]) => `${name} ${version}`),
  )
  return `Versions: ${[...new Set(named)].join(', ')}. Those on node:http have a keep-alive agent.`
}

function workTable(result, name) {
  const { title, detail, unit, bytes } = works[name]
  const headings = [
    '',
    `CPU, µs per ${unit}`,
    'above the floor',
    ...(bytes ? ['MB per CPU second'] : []),
    'p50, ms',
    'p99, ms',
    'peak memory, MB',
    'errors',
  ]
  const rows = rowsOf(result, name).map((row) => [
    row.name === 'sluiceway' ? '**sluiceway**' : row.title,
    digits(row.cpu),
    row.above === undefined ? '' : digits(row.above),
    ...(bytes ? [digits(row.perCpuSecond)] : []),
    digits(row.p50),
    digits(row.p99),
    digits(row.peak),
    row.errors,
  ])
  return `### ${title}\n\n${detail}.\n\n${table(headings, rows)}${excluded(result, name)}`
}

function excluded({ entries }, work) {
  const out = entries.filter((entry) => entry.excluded.includes(work)).map(({ title }) => title)
  return out.length === 0 ? '' : `\n\nNot timed, as the bytes are wrong: ${out.join(', ')}.`
}

function checksTable(entries) {
  const proxies = entries.filter(({ host }) => host !== 'floor')
  const rows = titles.map((title) => [
    title,
    ...proxies.map(({ failed }) => (failed[title] === undefined ? 'yes' : '**no**')),
  ])
  return table(['', ...proxies.map(({ title }) => title)], rows) + failures(proxies)
}

/** What came instead, with all that it came from. */
function failures(proxies) {
  const from = new Map()
  for (const { title, failed } of proxies) {
    for (const [check, what] of Object.entries(failed)) {
      const line = `- ${check}: ${what.replace(/\s+/g, ' ')}`
      from.set(line, [...(from.get(line) ?? []), title])
    }
  }
  if (from.size === 0) return ''
  return `\n\nWhat came instead:\n\n${[...from].map(([line, of]) => `${line} (${of.join(', ')})`).join('\n')}`
}

function pairedBody({ cases }) {
  return cases
    .map(({ title, unit, rounds, amount, rows }) => {
      const bytes = rows.some((row) => row.bytes !== undefined)
      const headings = [
        '',
        `CPU, µs per ${unit}`,
        'of the first',
        'in the quietest tenth',
        ...(bytes ? [`bytes per ${unit}`] : []),
      ]
      const lines = rows.map((row) => [
        row.name.replaceAll('|', '\\|'),
        digits(row.cpu),
        row.ratio.toFixed(3),
        row.quietest.toFixed(3),
        ...(bytes ? [digits(row.bytes)] : []),
      ])
      const slice = unit === 'event' ? 'one stream of 4000 events' : `${amount} requests`
      return `### ${title}\n\nMedian of ${rounds} paired rounds of ${slice}.\n\n${table(headings, lines)}`
    })
    .join('\n\n')
}

function idleBody({ connections, rounds, rows }) {
  const lines = rows.map(({ name, used, rss }) => [name, digits(used / 1024), digits(rss / 1024)])
  return [
    `${connections} clients that keep their connection after one JSON POST, after a garbage collection; median of ${rounds} processes.`,
    table(['', 'heap and buffers, KB per connection', 'resident memory, KB per connection'], lines),
  ].join('\n\n')
}

function connectionsBody({ rounds, upstream, rows }) {
  const lines = rows.map((row) => [
    row.entry,
    row.connections,
    digits(row.cpu),
    digits(row.perSecond),
    digits(row.p50),
    digits(row.p99),
    digits(row.peak),
    row.errors,
  ])
  return [
    `The small GET, each client on a connection of its own. Upstream: ${upstream}; median of ${rounds} rounds.`,
    table(
      [
        '',
        'connections',
        'CPU, µs per request',
        'requests per second',
        'p50, ms',
        'p99, ms',
        'peak memory, MB',
        'errors',
      ],
      lines,
    ),
  ].join('\n\n')
}

function workersBody({ rounds, cores, upstream, rows }) {
  const lines = rows.map((row) => [
    row.workers,
    digits(row.perSecond),
    (row.perSecond / rows[0].perSecond).toFixed(2),
    digits(row.cpu),
    digits(row.p99),
    row.errors,
  ])
  return [
    `The small GET through 1 to 4 processes of \`node:cluster\`, 64 connections. This machine has ${cores} cores, which the load and the upstream (${upstream}) need too, so more processes than that cannot help here; median of ${rounds} rounds.`,
    table(
      ['processes', 'requests per second', 'of one process', 'CPU, µs per request', 'p99, ms', 'errors'],
      lines,
    ),
  ].join('\n\n')
}

function syscallsBody({ requests, results }) {
  const [{ entry: _entry, work: _work, ...kinds }] = results
  const lines = results.map(({ entry, work, ...counts }) => [
    entry,
    works[work].title,
    ...Object.values(counts).map((count) => count.toFixed(2)),
  ])
  return [
    `Calls per request of the proxy's process, by \`strace -f\`, over ${requests} requests after a warm-up: reads and writes by whom they are with.`,
    table(['', '', ...Object.keys(kinds)], lines),
  ].join('\n\n')
}
