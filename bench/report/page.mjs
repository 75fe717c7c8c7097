// Makes docs/benchmarks.md, its charts, bench/goals.md and the generated parts of other pages from results/*.json.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { drawChart, middlePanels, readmePanels } from './chart.mjs'
import { nodesText } from './format.mjs'
import { countOf, groupsOf } from './goals.mjs'
import { partsOf, replaceParts } from './parts.mjs'
import { sections } from './sections.mjs'
import { verdictsText } from './verdicts.mjs'

const root = new URL('../../', import.meta.url)

const introduction = `# Benchmarks

What sluiceway costs, beside its peers. Everything here is made by \`npm run bench\` from [bench/results](../bench/results);
\`npm run bench -- report\` makes only the pages anew. Do not edit this one. The project's own goals and their state are in [bench/goals.md](../bench/goals.md).`

const method = `## How it is measured

- Each measured server is a process of its own. Where the system allows it, it has one core for itself, and the load and the upstream share another.
- CPU time, user and system, of all threads of that process is what counts most: unlike throughput it is much the same on a busy machine.
- Entries take turns within each round, and another one begins each time. Figures are medians of the rounds, after some seconds of the same work that are not counted.
- In the tables of workloads, latency is that of clients that ask again as soon as they have an answer, so a cheap proxy also gets more requests to answer; the section on latency asks all of them equally often.
- Peak memory is the largest resident set of a process that has done this work only.
- Before it is timed a proxy must give the right bytes; what else it gets wrong is shown below its figures. Answers are checked while they are timed: "errors" counts wrong and missing ones.
- Everything runs on one machine, over loopback. Differences below 5 % mean nothing.`

/** Writes all pages. */
export function writePages() {
  for (const [file, text] of pagesOf(readResults())) {
    if (readPage(file) === text) continue
    writeFileSync(new URL(file, root), text)
    console.log(`wrote ${file}`)
  }
}

/** The text of each page that is made, whole or in part, by its path in the repository. */
export function pagesOf(results = readResults()) {
  const made = new Map([
    ['docs/benchmarks.md', benchmarksPage(results)],
    ['bench/goals.md', goalsPage(results)],
  ])
  if (results.proxy) {
    made.set('docs/benchmarks.svg', drawChart(results.proxy, middlePanels))
    made.set('docs/proxy-cost.svg', drawChart(results.proxy, readmePanels))
  }
  for (const [file, parts] of partsOf(results)) made.set(file, replaceParts(readPage(file), parts, file))
  return made
}

function readPage(file) {
  const url = new URL(file, root)
  return existsSync(url) ? readFileSync(url, 'utf8') : ''
}

function benchmarksPage(results) {
  const names = Object.keys(sections).filter((name) => results[name])
  const parts = [introduction, verdictsText(results), method]
  for (const name of names) {
    parts.push(`## ${sections[name].title}`)
    if (name === 'proxy') parts.push(chart)
    parts.push(stamp(results[name]), sections[name].body(results[name]))
  }
  return `${parts.filter(Boolean).join('\n\n')}\n`
}

const chart =
  '![CPU per request, and megabytes per CPU second, of sluiceway and its peers; the numbers are in the tables below](benchmarks.svg)'

function goalsPage(results) {
  const { all, met } = countOf(results)
  const groups = groupsOf(results, readPage('bench/tried.md'))
  return `# Goals

Made by \`npm run bench\` from [results](results) and [tried.md](tried.md), as [docs/benchmarks.md](../docs/benchmarks.md) is, which is the page for users. Do not edit it.
What the goals are for: the price of a request must not be a reason against sluiceway. A goal that is missed stays here, with its figure, and with
what its profile shows and what was tried.

${met} of ${all} are met.

${groups.map(({ heading, text }) => `## ${heading}\n\n${text}`).join('\n\n')}
`
}

export function readResults() {
  const names = [...Object.keys(sections), 'delivery']
  const files = names.map((name) => [name, new URL(`bench/results/${name}.json`, root)])
  return Object.fromEntries(
    files
      .filter(([, file]) => existsSync(file))
      .map(([name, file]) => [name, JSON.parse(readFileSync(file, 'utf8'))]),
  )
}

function stamp({ date, commit, nodes, machine, pinning, load }) {
  return `${date} UTC, ${nodesText(Object.values(nodes))}, ${machine}, commit ${commit}; ${pinning}; load average before the run ${load}.`
}

/** JSON with each list of numbers on one line. */
export function compactJson(value) {
  const text = JSON.stringify(value, roundNumber, 2)
  return `${text.replace(/\[[\s\d.,e+-]+\]/g, (list) => list.replace(/\s+/g, ' '))}\n`
}

function roundNumber(_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value
}
