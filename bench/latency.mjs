// Latency at a rate that all can keep: half of what the slowest of them can do. Closed loops, as in proxy.mjs, give a cheap
// proxy more to do.
//
// Each waits a minute for its next turn. Meanwhile V8 collects garbage, and with it optimized code whose hidden classes no
// object has any more, and some proxies end their idle connections. What that costs is not counted: bench/tried.md.
import { findEntries, startEntry } from './entries/index.mjs'
import { targetsOf } from './entries/targets.mjs'
import { openAtRate } from './load/open-loop.mjs'
import { get, openRequests } from './load/requests.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { nodesOf } from './measure/nodes.mjs'
import { within } from './measure/slice.mjs'
import { inTurn } from './measure/statistics.mjs'
import { ITEMS } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const CONNECTIONS = 64
const WARM_UP_MS = 1000
const CALIBRATION_MS = 700
const SETTLE_MS = 1200
/** The worst hundredth must be more than one pause. */
const SLICE_MS = 1800
const PATIENCE_MS = 30_000
const work = { connections: CONNECTIONS, request: get('/items'), expected: ITEMS }

export async function run({
  rounds = 3,
  scale = 1,
  nginx,
  entries,
  nodes = nodesOf(),
  save = () => {},
} = {}) {
  pinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const { found } = findEntries(entries)
  const rows = []
  for (const target of targetsOf(found, nodes)) rows.push(await open(target, upstreams.fast.url, scale))
  const rate = Math.round(Math.min(...rows.filter(isFine).map(({ perSecond }) => perSecond)) / 2)
  const result = () => ({
    rate,
    rounds,
    settleMs: SETTLE_MS,
    upstream: upstreams.title,
    rows: rows.map(told),
  })
  for (let round = 0; round < rounds; round++) {
    for (const row of inTurn(rows, round)) await attempt(row, () => measure(row, rate, scale))
    save(result())
  }
  for (const { server, session } of rows) {
    await session?.close()
    await server?.stop()
  }
  await upstreams.stop()
  return result()
}

function isFine({ failure }) {
  return failure === undefined
}

function told({ key, name, title, host, node, perSecond, p50, p99, failure }) {
  return { key, name, title, host, node, perSecond, p50, p99, failure }
}

async function open({ node, ...target }, upstream, scale) {
  const row = { ...target, node: node?.major, p50: [], p99: [] }
  await attempt(row, async () => {
    row.server = await startEntry(row.name, upstream, { node: node?.file })
    row.perSecond = await throughput(row.server.port, scale)
    row.session = openAtRate({ port: row.server.port, ...work })
  })
  return row
}

/** Requests a second once it is warm. */
async function throughput(port, scale) {
  const session = openRequests({ port, ...work })
  await session.run(Infinity, WARM_UP_MS * scale)
  const { units, seconds } = await ask(session, Infinity, CALIBRATION_MS * scale)
  await session.close()
  return units / seconds
}

async function measure({ session, p50, p99 }, rate, scale) {
  await ask(session, rate, SETTLE_MS * scale)
  const { latency } = await ask(session, rate, SLICE_MS * scale)
  p50.push(latency.percentile(50) / 1e6)
  p99.push(latency.percentile(99) / 1e6)
}

async function ask(session, rate, ms) {
  const { units, errors, ...rest } = await session.run(rate, ms)
  if (errors > 0) throw new Error(`${errors} of ${units} answers were wrong or missing`)
  return { units, ...rest }
}

async function attempt(row, action) {
  if (row.failure !== undefined) return
  try {
    await within(PATIENCE_MS, action())
  } catch (error) {
    row.failure = error.message
  }
}
