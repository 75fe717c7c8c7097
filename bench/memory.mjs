// How much memory a proxy needs for a gigabyte, when the side that it goes to is slower than the side that it comes from.
import { findEntries, startEntry } from './entries/index.mjs'
import { targetsOf } from './entries/targets.mjs'
import { get, openRequests } from './load/requests.mjs'
import { download, upload } from './load/slow.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { within } from './measure/slice.mjs'
import { GIGABYTE, ITEMS } from './upstream/answers.mjs'
import { startUpstreams } from './upstream/index.mjs'

const ways = { down: download, up: upload }
const PATIENCE_MS = 60_000
const WARM_UP_MS = 1000

export async function run({ scale = 1, entries, nodes = nodesOf(), save = () => {} } = {}) {
  pinThisProcess()
  const { found, missing } = findEntries(entries)
  const { node: upstream, ...upstreams } = await startUpstreams({ nginx: false })
  const result = { missing, rows: [] }
  for (const target of meant(targetsOf(found, nodes), nodes)) {
    result.rows.push(await measure(target, upstream.url, scale))
    save(result)
  }
  await upstreams.stop()
  return result
}

/** Ours on each Node, the peers on one. */
function meant(targets, nodes) {
  const { major } = middleOf(nodes)
  return targets.filter(
    ({ name, host, node }) =>
      host !== 'floor' && (name === 'sluiceway' || node === undefined || node.major === major),
  )
}

/** MB above what the process had after small requests, each way in a process of its own. */
async function measure({ key, name, title, node }, upstream, scale) {
  const row = { key, name, title, node: node?.major }
  for (const [way, carry] of Object.entries(ways)) {
    const server = await startEntry(name, upstream, { node: node?.file })
    const measured = within(PATIENCE_MS, carried(server, carry, scale))
    row[way] = await measured.catch(({ message }) => message)
    await server.stop()
    process.stdout.write(`${title}${node ? `, Node ${node.major}` : ''}, ${way}: ${row[way]}\n`)
  }
  return row
}

async function carried(server, carry, scale) {
  const small = openRequests({ port: server.port, connections: 8, request: get('/items'), expected: ITEMS })
  await small.run(Infinity, WARM_UP_MS * scale)
  await small.close()
  server.resetPeak()
  const before = await server.peak()
  const bytes = await carry(server.port)
  if (bytes !== GIGABYTE) throw new Error(`${bytes} bytes came`)
  return ((await server.peak()) - before) / 1e6
}
