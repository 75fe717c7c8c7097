// What a proxied request costs: passthroughProxy and its peers, at the same work, in turns.
import { checkCorrectness, isOfAnswers } from './correctness/checks.mjs'
import { findEntries, startEntry } from './entries/index.mjs'
import { works } from './load/works.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { measureSlice, settle } from './measure/slice.mjs'
import { inTurn } from './measure/statistics.mjs'
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
async function compareAt(work, entries, upstreams, { rounds, scale }) {
  const upstream = work.onNode ? upstreams.node : upstreams.fast
  const timed = []
  for (const { name, host, excluded } of entries) {
    if (excluded.includes(work.name)) continue
    const server = await startEntry(name, upstream.url, { connections: work.upstreamConnections })
    const target = { port: server.port, upstream: host === 'floor' ? server.url : upstream.url }
    timed.push({ name, server, session: await work.open(target), figures: noFigures() })
  }
  for (const { session } of timed) await settle(work, session, scale)
  for (let round = 0; round < rounds; round++) {
    for (const { server, session, figures } of inTurn(timed, round)) {
      add(await measureSlice(work, server, session, scale), figures)
    }
  }
  for (const { server, session } of timed) {
    await session.close()
    await server.stop()
  }
  return Object.fromEntries(timed.map(({ name, figures }) => [name, figures]))
}

function add({ errors, ...slice }, figures) {
  figures.errors += errors
  for (const [name, value] of Object.entries(slice)) figures[name].push(Number(value.toPrecision(5)))
}

function noFigures() {
  return { cpu: [], p50: [], p99: [], peak: [], perSecond: [], errors: 0 }
}
