// What a refused upload costs the server: 1,000 clients at once send 10 MB each to a limit of 100 KB.

import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { within } from './measure/slice.mjs'
import { median, sum } from './measure/statistics.mjs'
import { piecesOf, readWhileWriting, writeFirst } from './refused/clients.mjs'
import { findServers } from './refused/servers.mjs'
import { LIMIT } from './refused/settings.mjs'

const CLIENTS = 1000
/** If none of these clients gets an answer, the thousand are not sent. */
const WARM_UP = { clients: 50, patience: 10_000 }
const PATIENCE_MS = 120_000
/** Clients that listen all the time, in both framings, and clients that do not listen before they have sent everything. */
const crowds = [
  { crowd: 'Content-Length, read while they write', chunked: false, upload: readWhileWriting },
  { crowd: 'chunks, read while they write', chunked: true, upload: readWhileWriting },
  { crowd: 'Content-Length, write all, then read', chunked: false, upload: writeFirst },
]

export async function run({ scale = 1, nodes = nodesOf(), save = () => {} } = {}) {
  pinThisProcess()
  const node = middleOf(nodes)
  const clients = Math.ceil(CLIENTS * scale)
  const { servers, missing } = findServers()
  const result = { node: node.major, clients, missing, rows: [] }
  for (const { crowd, ...manner } of crowds) {
    for (const server of servers.filter(({ isPatient }) => !isPatient || manner.upload === writeFirst)) {
      const figures = await within(PATIENCE_MS, refused(server, node, { clients, ...manner })).catch(
        ({ message }) => ({ failure: message }),
      )
      result.rows.push({ crowd, name: server.name, title: server.title, ...figures })
    }
    process.stdout.write(`${crowd}: done\n`)
    save(result)
  }
  return result
}

/** In a process of its own, which has refused some uploads and taken some before. */
async function refused({ start }, node, { clients, chunked, upload }) {
  const server = await start(node)
  const send = (count, pieces, patience) =>
    Promise.all(Array.from({ length: count }, () => upload(server.port, pieces, patience)))
  await send(WARM_UP.clients, piecesOf({ chunked, length: LIMIT / 2 }))
  const pieces = piecesOf({ chunked })
  const first = told(await send(WARM_UP.clients, pieces, WARM_UP.patience))
  const figures = first.delivered === 0 ? first : await measured(server, clients, () => send(clients, pieces))
  await server.stop()
  return figures
}

async function measured(server, clients, send) {
  server.resetPeak()
  const [before, base] = [await server.cpu(), await server.peak()]
  const results = told(await send())
  const [cpu, peak] = [(await server.cpu()) - before, (await server.peak()) - base]
  return { ...results, cpu: cpu / clients, memory: peak / clients }
}

function told(results) {
  const failed = results.filter(({ outcome }) => outcome !== 413)
  return {
    delivered: 1 - failed.length / results.length,
    instead: countsOf(failed.map(({ outcome }) => outcome)),
    written: sum(results.map(({ written }) => written)) / results.length,
    ms: median(results.map(({ ms }) => ms)),
  }
}

function countsOf(outcomes) {
  const counts = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}
