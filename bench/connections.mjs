// How the cost of a small proxied GET grows with the number of clients.
import { findEntries, startEntry } from './entries/index.mjs'
import { get, openRequests } from './load/requests.mjs'
import { works } from './load/works.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { measureInTurns, mediansOf } from './measure/slice.mjs'
import { ITEMS } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const COUNTS = [1, 10, 100, 1000]
const work = { ...works.get, warmUp: 1000, amount: 4000 }

export async function run({
  rounds = 5,
  scale = 1,
  nginx,
  entries = ['floor', 'sluiceway', 'http-proxy'],
} = {}) {
  pinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const targets = []
  for (const entry of findEntries(entries).found) {
    for (const connections of COUNTS) {
      targets.push({
        entry: entry.title,
        connections,
        ...(await open(entry, connections, upstreams.fast.url)),
      })
    }
  }
  const slices = await measureInTurns(work, targets, { rounds, scale })
  await upstreams.stop()
  const rows = targets.map(({ entry, connections }, index) => ({
    entry,
    connections,
    ...mediansOf(slices[index]),
  }))
  return { rounds, upstream: upstreams.title, rows }
}

async function open({ name }, connections, upstream) {
  const server = await startEntry(name, upstream)
  return {
    server,
    session: openRequests({ port: server.port, connections, request: get('/items'), expected: ITEMS }),
  }
}
