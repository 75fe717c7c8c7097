// Memory of a connection that a client keeps open after one request, with the middlewares and without.
import express from 'express'
import { autoFlush } from '../dist/esm/auto-flush.js'
import { bodyCache } from '../dist/esm/body-cache.js'
import { maxBytes } from '../dist/esm/max-bytes.js'
import { passthroughProxy } from '../dist/esm/passthrough-proxy.js'
import { openRequests, post } from './load/requests.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { pathOf, startPairedServer } from './measure/paired.mjs'
import { inTurn, median } from './measure/statistics.mjs'
import { ITEMS } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const LIMIT = 64 * 1024
const json = Buffer.from(JSON.stringify({ value: 'x'.repeat(286) }))

export function cases(upstream) {
  const all = [maxBytes('1mb'), bodyCache(), autoFlush()]
  const read = [express.json(), (_req, res) => res.end(ITEMS)]
  return [
    {
      variants: {
        'Express, express.json': read,
        'maxBytes, bodyCache, autoFlush, express.json': [...all, ...read],
        'all four, proxied': [...all, passthroughProxy(upstream)],
      },
    },
  ]
}

export async function run({ rounds = 5, scale = 1, nginx, nodes = nodesOf() } = {}) {
  const node = middleOf(nodes)
  pinThisProcess()
  const upstreams = await startUpstreams({ nginx })
  const connections = Math.ceil(1000 * scale)
  const samples = Object.keys(cases(upstreams.fast.url)[0].variants).map((name, number) => ({
    name,
    number,
    per: [],
  }))
  for (let round = 0; round < rounds; round++) {
    for (const { number, per } of inTurn(samples, round))
      per.push(await measure(number, connections, upstreams.fast.url, node))
  }
  await upstreams.stop()
  const rows = samples.map(({ name, per }) => ({
    name,
    used: median(per.map(({ used }) => used)),
    rss: median(per.map(({ rss }) => rss)),
  }))
  return { node: node.major, connections, rounds, rows, goals: goals(rows) }
}

/** Bytes a connection, in a process of its own that has served before. */
async function measure(number, connections, upstream, node) {
  const server = await startPairedServer(import.meta.url, upstream, {
    flags: ['--expose-gc'],
    node: node.file,
  })
  const target = {
    port: server.port,
    request: post(`${pathOf(0, number)}/upload`, 'application/json', json),
    expected: ITEMS,
  }
  const warmUp = openRequests({ ...target, connections: 32 })
  await warmUp.run(3000)
  await warmUp.close()
  const before = await server.memory()
  const session = openRequests({ ...target, connections })
  const { errors } = await session.run(connections)
  if (errors > 0) throw new Error(`${errors} of ${connections} requests failed`)
  const after = await server.memory()
  await session.close()
  await server.stop()
  return { used: (after.used - before.used) / connections, rss: (after.rss - before.rss) / connections }
}

function goals([without, ...others]) {
  return others.map(({ name, used, rss }) => ({
    text: `idle connection, ${name}: bytes more than without`,
    limit: LIMIT,
    value: Math.max(used - without.used, rss - without.rss),
  }))
}
