// What a proxied request costs: passthroughProxy and its peers, at the same work, in turns, on each Node.
import { checkCorrectness, isOfAnswers } from './correctness/checks.mjs'
import { findEntries, startEntry } from './entries/index.mjs'
import { targetsOf } from './entries/targets.mjs'
import { works } from './load/works.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { measureInTurns, within } from './measure/slice.mjs'
import { sum } from './measure/statistics.mjs'
import { startUpstreams } from './upstream/index.mjs'

export const title = 'proxies: CPU, latency and memory of passthroughProxy and its peers'

const CHECK_MS = 120_000

/** `scale` makes each slice that much smaller or larger; `save(result)` is called after each work. */
export async function run({
  rounds = 5,
  scale = 1,
  nginx = true,
  entries,
  nodes = nodesOf(),
  only = Object.keys(works),
  save = () => {},
} = {}) {
  pinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const { found, missing } = findEntries(entries)
  for (const line of missing) console.log(line)
  const targets = targetsOf(found, nodes)
  for (const target of targets) Object.assign(target, await check(target, upstreams.node.url))
  const result = {
    rounds,
    upstream: upstreams.title,
    entries: found,
    missing,
    targets: targets.map(told),
    works: {},
  }
  for (const name of only) {
    result.works[name] = await compareAt(works[name], meant(works[name], targets, nodes), upstreams, {
      rounds,
      scale,
    })
    process.stdout.write(`${works[name].title}: done\n`)
    save(result)
  }
  await upstreams.stop()
  return result
}

/** What the results keep of a target. */
function told({ key, name, node, failed, excluded }) {
  return { key, name, node: node?.major, failed, excluded }
}

async function check({ key, name, host, node }, upstream) {
  try {
    const proxy = await startEntry(name, upstream, { node: node?.file })
    const only = host === 'floor' ? isOfAnswers : undefined
    const checked = within(CHECK_MS, checkCorrectness({ port: proxy.port, upstream, id: key, only }))
    return await checked.finally(() => proxy.stop())
  } catch (error) {
    return { failed: { 'it starts': error.message }, excluded: Object.keys(works) }
  }
}

/** Those of the work: once for each Node, or on one of them. */
function meant(work, targets, nodes) {
  const { major } = middleOf(nodes)
  const fit = work.once ? targets.filter(({ node }) => node === undefined || node.major === major) : targets
  const timed = fit.filter(({ excluded }) => !excluded.includes(work.name))
  return work.upstream === 'secure' ? timed.filter(({ host }) => host !== 'floor') : timed
}

/** Figures per target, a number a round. Each has a fresh process: memory is that of this work alone. */
async function compareAt(work, targets, upstreams, options) {
  const upstream = upstreams[work.upstream]
  if (upstream === undefined) return {}
  const opened = []
  for (const target of targets) opened.push(await open(target, work, upstream, upstreams.env))
  const running = opened.filter(({ session }) => session)
  const measured = await measureInTurns(work, running, options)
  const figures = running.map(({ key }, index) => [key, figuresOf(measured[index])])
  return Object.fromEntries([
    ...figures,
    ...opened.filter(({ failure }) => failure).map(({ key, failure }) => [key, { failure }]),
  ])
}

async function open({ key, name, host, node }, work, upstream, env) {
  try {
    const options = { connections: work.upstreamConnections, node: node?.file, env }
    const server = await startEntry(name, upstream.url, options)
    const target = { port: server.port, upstream: host === 'floor' ? server.url : upstream.url }
    return { key, server, session: await work.open(target) }
  } catch (error) {
    return { key, failure: error.message }
  }
}

function figuresOf({ slices, failure }) {
  if (failure !== undefined) return { failure }
  const kinds = Object.keys(slices[0]).filter((kind) => kind !== 'errors')
  const lists = kinds.map((kind) => [kind, slices.map((slice) => slice[kind])])
  return { ...Object.fromEntries(lists), errors: sum(slices.map(({ errors }) => errors)) }
}
