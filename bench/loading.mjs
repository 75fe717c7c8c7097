// What it costs to load each subpath, beside Express: CPU and memory above a bare Node, and above one with Express.
// Each figure is that of a fresh process; the package is built as it is published.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nodesOf } from './measure/nodes.mjs'
import { inTurn } from './measure/statistics.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const report = `
const { user, system } = process.cpuUsage()
console.log(JSON.stringify({ cpu: (user + system) / 1000, rss: process.memoryUsage().rss / 1e6 }))`

export function run({ rounds = 15, nodes = nodesOf() } = {}) {
  mkdirSync(`${root}build`, { recursive: true })
  const built = mkdtempSync(`${root}build/loading-`)
  try {
    execFileSync(process.execPath, ['scripts/build.mjs', '--release', built], { cwd: root })
    const byNode = nodes.map((node) => [node.major, rowsOf(measure(programs(built), rounds, node))])
    return { rounds, byNode: Object.fromEntries(byNode) }
  } finally {
    rmSync(built, { recursive: true })
  }
}

/** What each process imports before it reports. */
function programs(built) {
  const subpaths = readdirSync(`${built}/esm`).filter((name) => name.endsWith('.js'))
  const imports = subpaths.map((file) => ({ name: file.replace('.js', ''), module: `${built}/esm/${file}` }))
  const alone = imports.map(({ name, module }) => ({ name, modules: [module] }))
  const beside = imports.map(({ name, module }) => ({
    name: `${name} beside Express`,
    modules: ['express', module],
  }))
  const peers = [
    { name: 'bare', modules: [] },
    { name: 'Express', modules: ['express'] },
  ]
  return [...peers, ...alone, ...beside].map((each) => ({ ...each, samples: [] }))
}

/** They take turns, so that a busy moment of the machine meets all of them. */
function measure(all, rounds, { file }) {
  for (let round = 0; round < rounds; round++) {
    for (const { modules, samples } of inTurn(all, round)) samples.push(load(modules, file))
  }
  return new Map(all.map(({ name, samples }) => [name, samples]))
}

function load(modules, node) {
  const program = modules.map((module) => `await import(${JSON.stringify(module)})\n`).join('') + report
  const flags = ['--input-type=module', '-e', program]
  return JSON.parse(execFileSync(node, flags, { cwd: root, encoding: 'utf8' }))
}

function rowsOf(samples) {
  const names = [...samples.keys()].filter((name) => name !== 'bare' && !name.endsWith(' beside Express'))
  return names.map((name) => ({
    name,
    ...above(samples.get(name), samples.get('bare')),
    beside:
      name === 'Express' ? undefined : above(samples.get(`${name} beside Express`), samples.get('Express')),
  }))
}

/** The smallest of each: whatever else runs on the machine only ever makes an import more expensive. */
function above(samples, base) {
  return {
    cpu: least(samples, 'cpu') - least(base, 'cpu'),
    rss: least(samples, 'rss') - least(base, 'rss'),
  }
}

function least(samples, kind) {
  return Math.min(...samples.map((each) => each[kind]))
}
