// Runs benchmarks and writes what they say: `npm run bench`, or `npm run bench -- proxy connections` for some of them.
//
//   --rounds 9           so many rounds, instead of each benchmark's own number
//   --scale 0.1          slices of a tenth of the size
//   --works get,post     of `proxy`, only these
//   --entries floor,sluiceway,http-proxy
//   --nodes 20=/usr/bin/node,24=/opt/24/bin/node   on these versions of Node (or BENCH_NODES); else on the running one
//   --node-upstream      node:http as the upstream, even where there is nginx
//   --minutes 45         begins nothing more after so many; what comes first matters most
//   --again              keeps the other works of the earlier results, with --works
//   --dry                leaves results/ and docs/ as they are
//
// What is done is written after each part, so a run that is interrupted loses nothing but what it was at. `report` as a
// name runs nothing: it makes the pages anew from results/.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { PINNING } from './measure/cores.mjs'
import { nodesOf } from './measure/nodes.mjs'
import { goalsTable } from './report/goals.mjs'
import { compactJson, writePages } from './report/page.mjs'
import { sections } from './report/sections.mjs'

/** How often each client of `delivery` tries. */
const DELIVERIES = 10

// `delivery` is a part of docs/max-bytes.md, not of the page of benchmarks.
const all = [...Object.keys(sections), 'delivery']
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    scale: { type: 'string' },
    works: { type: 'string' },
    entries: { type: 'string' },
    nodes: { type: 'string', default: process.env.BENCH_NODES },
    'node-upstream': { type: 'boolean' },
    minutes: { type: 'string' },
    again: { type: 'boolean' },
    dry: { type: 'boolean' },
  },
})
const nodes = nodesOf(values.nodes)
const options = {
  nodes,
  ...(values.rounds && { rounds: Number(values.rounds) }),
  ...(values.scale && { scale: Number(values.scale) }),
  ...(values.works && { only: values.works.split(',') }),
  ...(values.entries && { entries: values.entries.split(',') }),
  ...(values['node-upstream'] && { nginx: false }),
}
const asked = positionals.length > 0 ? positionals : all
const unknown = asked.filter((name) => name !== 'report' && !all.includes(name))
if (unknown.length > 0)
  throw new Error(`no benchmark ${unknown.join(', ')}; there are ${all.join(', ')}, report`)

const last = performance.now() + Number(values.minutes ?? Infinity) * 60_000
for (const name of asked) {
  if (name !== 'report' && performance.now() > last) console.log(`left out, as the time is over: ${name}`)
  else if (name === 'delivery') runDelivery()
  else if (name !== 'report') {
    await runOne(name).catch((error) => {
      console.error(error)
      process.exitCode = 1
    })
  }
}
if (!values.dry && (asked.includes('report') || asked.includes('delivery'))) writePages()
// A session may have left a timer of its patience.
process.exit()

async function runOne(name) {
  console.log(`\n=== ${name}`)
  const began = performance.now()
  const about = circumstances()
  const write = (result) => writeResult(name, { name, ...about, ...result })
  const save = values.again ? () => {} : write
  const { run } = await import(`./${name}.mjs`)
  const result = await run({ ...options, save })
  if (result === undefined) return
  console.log(sections[name].body({ name, ...about, ...result }))
  console.log(`\n${goalsTable({ [name]: { ...about, ...result } })}`)
  console.log(`\n${name} took ${Math.round((performance.now() - began) / 1000)} s`)
  write(values.again ? besideEarlier(name, about, result) : result)
  if (!values.dry) writePages()
}

/** The earlier results, with some works anew, each with its own date and commit. */
function besideEarlier(name, about, { works }) {
  const earlier = JSON.parse(readFileSync(new URL(`results/${name}.json`, import.meta.url), 'utf8'))
  const again = Object.fromEntries(
    Object.keys(works).map((work) => [work, { date: about.date, commit: about.commit }]),
  )
  return { ...earlier, works: { ...earlier.works, ...works }, again: { ...earlier.again, ...again } }
}

function writeResult(name, result) {
  if (values.dry) return
  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL(`${name}.json`, folder), compactJson(result))
}

function circumstances() {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: commit(),
    nodes: Object.fromEntries(nodes.map(({ major, version }) => [major, version])),
    machine: `${os.cpus()[0].model}, ${os.cpus().length} cores, ${os.type()}`,
    pinning: PINNING,
    load: Number(os.loadavg()[0].toFixed(1)),
  }
}

function commit() {
  try {
    const cwd = fileURLToPath(new URL('.', import.meta.url))
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd, encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

/** In a process of its own: it runs on all cores. */
function runDelivery() {
  console.log('\n=== delivery')
  const file = fileURLToPath(new URL('delivery.mjs', import.meta.url))
  const results = fileURLToPath(new URL('results/delivery.json', import.meta.url))
  const args = [file, String(values.rounds ?? DELIVERIES), ...(values.dry ? [] : [results])]
  if (spawnSync(process.execPath, args, { stdio: 'inherit', timeout: 600_000 }).status !== 0)
    process.exitCode = 1
}
