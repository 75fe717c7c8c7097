// How the cost of a small proxied GET grows with the number of clients.
import { findEntries, startEntry } from './entries/index.mjs'
import { get, openRequests } from './load/requests.mjs'
import { works } from './load/works.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { measureInTurns, mediansOf } from './measure/slice.mjs'
import { ITEMS } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const COUNTS = [1, 10, 100, 1000, 5000]
const work = { ...works.get, ms: 1000 }

export async function run({
  rounds = 3,
  scale = 1,
  nginx,
  nodes = nodesOf(),
  entries = ['floor', 'sluiceway', 'http-proxy'],
} = {}) {
  pinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const node = middleOf(nodes)
  const targets = []
  for (const entry of findEntries(entries).found) {
    for (const connections of COUNTS) {
      targets.push({
        entry: entry.title,
        connections,
        ...(await open(entry, connections, upstreams.fast.url, node)),
      })
    }
  }
  const measured = await measureInTurns(work, targets, { rounds, scale })
  await upstreams.stop()
  const rows = targets.map(({ entry, connections }, index) => {
    const { slices, failure } = measured[index]
    return { entry, connections, ...(failure === undefined ? mediansOf(slices) : { failure }) }
  })
  return { node: node.major, rounds, upstream: upstreams.title, rows }
}

async function open({ name }, connections, upstream, node) {
  const server = await startEntry(name, upstream, { node: node.file })
  return {
    server,
    session: openRequests({ port: server.port, connections, request: get('/items'), expected: ITEMS }),
  }
}
