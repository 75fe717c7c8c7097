// How the throughput of a small proxied GET grows with the number of processes (node:cluster). Nothing is bound to a
// core: workers, load and upstream share what the machine has.
import os from 'node:os'
import { get, openRequests } from './load/requests.mjs'
import { works } from './load/works.mjs'
import { unpinThisProcess } from './measure/cores.mjs'
import { ServerProcess } from './measure/server-process.mjs'
import { measureSlice, settle } from './measure/slice.mjs'
import { inTurn, median } from './measure/statistics.mjs'
import { ITEMS } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const work = { ...works.get, warmUp: 2000, amount: 8000 }
const CONNECTIONS = 64

export async function run({ rounds = 5, scale = 1, nginx } = {}) {
  unpinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const rows = []
  for (const workers of [1, 2, 3, 4])
    rows.push({ workers, slices: [], ...(await open(workers, upstreams.fast.url)) })
  for (const { session } of rows) await settle(work, session, scale)
  for (let round = 0; round < rounds; round++) {
    for (const { server, session, slices } of inTurn(rows, round)) {
      slices.push(await measureSlice(work, server, session, scale))
    }
  }
  for (const { server, session } of rows) {
    await session.close()
    await server.stop()
  }
  await upstreams.stop()
  return { rounds, upstream: upstreams.title, cores: os.availableParallelism(), rows: rows.map(figuresOf) }
}

async function open(workers, upstream) {
  const module = new URL('measure/cluster-server.mjs', import.meta.url)
  const server = await ServerProcess.start(module, [upstream, String(workers)], { core: undefined })
  const target = { port: server.port, request: get('/items'), expected: ITEMS }
  return { server, session: openRequests({ ...target, connections: CONNECTIONS }) }
}

function figuresOf({ workers, slices }) {
  const of = (kind) => median(slices.map((slice) => slice[kind]))
  const errors = slices.reduce((total, slice) => total + slice.errors, 0)
  return { workers, perSecond: of('perSecond'), cpu: of('cpu'), p99: of('p99'), errors }
}
