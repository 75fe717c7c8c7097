// How the cost of a small proxied GET grows with the number of clients.
import { findEntries, startEntry } from './entries/index.mjs'
import { get, openRequests } from './load/requests.mjs'
import { works } from './load/works.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { measureSlice, settle } from './measure/slice.mjs'
import { inTurn, median } from './measure/statistics.mjs'
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
  const rows = []
  for (const entry of findEntries(entries).found) {
    for (const connections of COUNTS) {
      rows.push({ entry, connections, slices: [], ...(await open(entry, connections, upstreams.fast.url)) })
    }
  }
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
  return { rounds, upstream: upstreams.title, rows: rows.map(figuresOf) }
}

async function open({ name }, connections, upstream) {
  const server = await startEntry(name, upstream)
  return {
    server,
    session: openRequests({ port: server.port, connections, request: get('/items'), expected: ITEMS }),
  }
}

function figuresOf({ entry, connections, slices }) {
  const of = (kind) => median(slices.map((slice) => slice[kind]))
  const errors = slices.reduce((total, slice) => total + slice.errors, 0)
  return {
    entry: entry.title,
    connections,
    cpu: of('cpu'),
    perSecond: of('perSecond'),
    p50: of('p50'),
    p99: of('p99'),
    peak: of('peak'),
    errors,
  }
}
