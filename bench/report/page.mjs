// Makes docs/benchmarks.md and its chart from results/*.json.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { drawChart } from './chart.mjs'
import { goalsTable } from './goals.mjs'
import { sections } from './sections.mjs'

const docs = new URL('../../docs/', import.meta.url)

const introduction = `# Benchmarks

Made by \`npm run bench\` from [bench/results](../bench/results); \`npm run bench -- report\` makes only this page anew. Do not edit it.

How it is measured:

- Each measured server is a process of its own. Where the system allows it, it has one core for itself, and the load and the upstream share another.
- CPU time, user and system, of all threads of that process (\`process.cpuUsage()\`) is what counts most: unlike throughput it is much the same on a busy machine.
- Entries take turns within each round, and another one begins each time. Figures are medians of the rounds, after some seconds of the same work that are not counted.
- Latency is that of clients who ask again as soon as they have an answer, so a cheap proxy also gets more requests to answer.
- Peak memory is the largest resident set of a process that has done this work only.
- Before it is timed a proxy must give the right bytes; what else it gets wrong is shown below its figures. Answers are checked while they are timed: "errors" counts wrong and missing ones.
- Everything runs on one machine, over loopback. Differences below 5 % mean nothing.`

export function writePage() {
  const results = readResults()
  const names = Object.keys(sections).filter((name) => results[name])
  if (names.length === 0) return
  const parts = [introduction, `## Goals\n\n${goalsTable(results)}`]
  for (const name of names) {
    parts.push(`## ${sections[name].title}`)
    if (name === 'proxy') parts.push(chart(results.proxy))
    parts.push(stamp(results[name]), sections[name].body(results[name]))
  }
  writeFileSync(new URL('benchmarks.md', docs), `${parts.join('\n\n')}\n`)
  console.log('\nwrote docs/benchmarks.md')
}

function readResults() {
  const files = Object.keys(sections).map((name) => [
    name,
    new URL(`../results/${name}.json`, import.meta.url),
  ])
  return Object.fromEntries(
    files
      .filter(([, file]) => existsSync(file))
      .map(([name, file]) => [name, JSON.parse(readFileSync(file, 'utf8'))]),
  )
}

function chart(proxy) {
  writeFileSync(new URL('benchmarks.svg', docs), drawChart(proxy))
  return '![CPU per request, and megabytes per CPU second, of sluiceway and its peers; the numbers are in the tables below](benchmarks.svg)'
}

function stamp({ date, commit, node, machine, pinning, load }) {
  return `${date} UTC, Node ${node}, ${machine}, commit ${commit}; ${pinning}; load average before the run ${load}.`
}

/** JSON with each list of numbers on one line. */
export function compactJson(value) {
  const text = JSON.stringify(value, roundNumber, 2)
  return `${text.replace(/\[[\s\d.,e+-]+\]/g, (list) => list.replace(/\s+/g, ' '))}\n`
}

function roundNumber(_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value
}
