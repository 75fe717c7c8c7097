// What a proxied request costs: passthroughProxy and its peers, at the same work, in turns.
import { checkCorrectness, isOfAnswers } from './correctness/checks.mjs'
import { findEntries, startEntry } from './entries/index.mjs'
import { works } from './load/works.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { measureInTurns } from './measure/slice.mjs'
import { sum } from './measure/statistics.mjs'
import { startUpstreams } from './upstream/index.mjs'

export const title = 'proxies: CPU, latency and memory of passthroughProxy and its peers'

/** `scale` makes each slice that much smaller or larger. */
export async function run({ rounds = 9, scale = 1, nginx = true, entries, only = Object.keys(works) } = {}) {
  pinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const { found, missing } = findEntries(entries)
  for (const line of missing) console.log(line)
  await checkAll(found, upstreams.node.url)
  const results = {}
  for (const name of only) {
    results[name] = await compareAt(works[name], found, upstreams, { rounds, scale })
    process.stdout.write(`${works[name].title}: done\n`)
  }
  await upstreams.stop()
  return { rounds, upstream: upstreams.title, entries: found, missing, works: results }
}

async function checkAll(entries, upstream) {
  for (const entry of entries) {
    const proxy = await startEntry(entry.name, upstream)
    const only = entry.host === 'floor' ? isOfAnswers : undefined
    Object.assign(entry, await checkCorrectness({ port: proxy.port, upstream, id: entry.name, only }))
    await proxy.stop()
  }
}

/** Figures per entry, a number a round. Each entry has a fresh process: memory is that of this work alone. */
async function compareAt(work, entries, upstreams, options) {
  const upstream = work.onNode ? upstreams.node : upstreams.fast
  const timed = entries.filter(({ excluded }) => !excluded.includes(work.name))
  const targets = []
  for (const { name, host } of timed) {
    const server = await startEntry(name, upstream.url, { connections: work.upstreamConnections })
    const target = { port: server.port, upstream: host === 'floor' ? server.url : upstream.url }
    targets.push({ server, session: await work.open(target) })
  }
  const slices = await measureInTurns(work, targets, options)
  return Object.fromEntries(timed.map(({ name }, index) => [name, figuresOf(slices[index])]))
}

function figuresOf(slices) {
  const kinds = Object.keys(slices[0]).filter((kind) => kind !== 'errors')
  const lists = kinds.map((kind) => [kind, slices.map((slice) => slice[kind])])
  return { ...Object.fromEntries(lists), errors: sum(slices.map(({ errors }) => errors)) }
}
