// Runs benchmarks and writes what they say: `npm run bench`, or `npm run bench -- proxy connections` for some of them.
//
//   --rounds 9           so many rounds, instead of each benchmark's own number
//   --scale 0.1          slices of a tenth of the size
//   --works get,post     of `proxy`, only these
//   --entries floor,sluiceway,http-proxy
//   --node-upstream      node:http as the upstream, even where there is nginx
//   --dry                leaves results/ and docs/ as they are
//
// `report` as a name runs nothing: it makes docs/benchmarks.md anew from results/.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { PINNING } from './measure/cores.mjs'
import { goalsTable } from './report/goals.mjs'
import { compactJson, writePage } from './report/page.mjs'
import { sections } from './report/sections.mjs'

// `delivery` prints a table of its own, for docs/max-bytes.md.
const all = [...Object.keys(sections), 'delivery']
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    scale: { type: 'string' },
    works: { type: 'string' },
    entries: { type: 'string' },
    'node-upstream': { type: 'boolean' },
    dry: { type: 'boolean' },
  },
})
const options = {
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

for (const name of asked) {
  if (name === 'delivery') runDelivery()
  else if (name !== 'report') {
    await runOne(name).catch((error) => {
      console.error(error)
      process.exitCode = 1
    })
  }
}
if (!values.dry) writePage()
// A session may have left a timer of its patience.
process.exit()

async function runOne(name) {
  console.log(`\n=== ${name}`)
  const about = circumstances()
  const { run } = await import(`./${name}.mjs`)
  const result = await run(options)
  if (result === undefined) return
  console.log(sections[name].body({ name, ...about, ...result }))
  console.log(`\n${goalsTable({ [name]: result })}`)
  if (values.dry) return
  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL(`${name}.json`, folder), compactJson({ name, ...about, ...result }))
}

function circumstances() {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: commit(),
    node: process.versions.node,
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

function runDelivery() {
  console.log('\n=== delivery')
  const file = fileURLToPath(new URL('delivery.mjs', import.meta.url))
  if (spawnSync(process.execPath, [file], { stdio: 'inherit' }).status !== 0) process.exitCode = 1
}
