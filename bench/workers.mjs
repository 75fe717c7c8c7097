// How the throughput of a small proxied GET grows with the number of processes (node:cluster). Nothing is bound to a
// core: workers, load and upstream share what the machine has.
import os from 'node:os'
import { get, openRequests } from './load/requests.mjs'
import { works } from './load/works.mjs'
import { unpinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { ServerProcess } from './measure/server-process.mjs'
import { measureInTurns, mediansOf } from './measure/slice.mjs'
import { ITEMS } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const work = { ...works.get, ms: 1500 }
const CONNECTIONS = 64

export async function run({ rounds = 3, scale = 1, nginx, nodes = nodesOf() } = {}) {
  const node = middleOf(nodes)
  unpinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const targets = []
  for (const workers of [1, 2, 3, 4]) {
    targets.push({ workers, ...(await open(workers, upstreams.fast.url, node)) })
  }
  const measured = await measureInTurns(work, targets, { rounds, scale })
  await upstreams.stop()
  const rows = targets.map(({ workers }, index) => ({ workers, ...mediansOf(measured[index].slices) }))
  return { node: node.major, rounds, upstream: upstreams.title, cores: os.availableParallelism(), rows }
}

async function open(workers, upstream, node) {
  const module = new URL('measure/cluster-server.mjs', import.meta.url)
  const server = await ServerProcess.start(module, [upstream, String(workers)], {
    core: undefined,
    node: node.file,
  })
  const target = { port: server.port, request: get('/items'), expected: ITEMS }
  return { server, session: openRequests({ ...target, connections: CONNECTIONS }) }
}
