// What WebSockets cost a proxy: memory of 500 that are idle, and CPU of 50 that are busy.
import { findEntries, startEntry } from './entries/index.mjs'
import { openWebSockets } from './load/websockets.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { ServerProcess } from './measure/server-process.mjs'
import { measureInTurns, mediansOf, within } from './measure/slice.mjs'

const NAMES = [
  'sluiceway',
  'http-proxy',
  'http-proxy-3',
  'http2-proxy',
  'httpxy',
  'http-proxy-middleware',
  'fastify-http-proxy',
  'go',
  'nginx',
]
const IDLE = 500
const BUSY = 50
const PATIENCE_MS = 60_000
const work = { ms: 500 }

export async function run({ rounds = 5, scale = 1, entries = NAMES, nodes = nodesOf() } = {}) {
  pinThisProcess()
  const node = middleOf(nodes)
  const upstream = await ServerProcess.start(new URL('upstream/echo.mjs', import.meta.url), [], {
    core: undefined,
  })
  const { found, missing } = findEntries(entries)
  const rows = []
  for (const entry of found) rows.push(await opened(entry, upstream.url, node))
  const running = rows.filter(({ session }) => session)
  const measured = await measureInTurns(work, running, { rounds, scale })
  await upstream.stop()
  for (const [index, row] of running.entries()) Object.assign(row, busyOf(measured[index]))
  return { node: node.major, rounds, idle: IDLE, busy: BUSY, missing, rows: rows.map(told) }
}

function busyOf({ slices, failure }) {
  return failure === undefined ? mediansOf(slices) : { failure }
}

function told({ session: _session, server: _server, ...row }) {
  return row
}

/** With what the idle ones took; the busy ones are open. */
async function opened({ name, title, host }, upstream, node) {
  const row = { name, title, host, node: host === 'none' ? undefined : node.major }
  try {
    const server = await start(name, host, upstream, node)
    const idle = await within(PATIENCE_MS, idleMemory(server))
    const session = await openWebSockets({ port: server.port, connections: BUSY })
    return { ...row, idle, server, session }
  } catch ({ message }) {
    return { ...row, failure: message }
  }
}

function start(name, host, upstream, { file }) {
  if (host === 'none') return startEntry(name, upstream)
  const module = new URL('entries/serve-websockets.mjs', import.meta.url)
  return ServerProcess.start(module, [name, upstream], { node: file, flags: ['--expose-gc'] })
}

/** Bytes of resident memory for each, in a process that has had some before. */
async function idleMemory(server) {
  const first = await openWebSockets({ port: server.port, connections: BUSY })
  await first.run(Infinity, 300)
  const before = await server.memory()
  const session = await openWebSockets({ port: server.port, connections: IDLE })
  await session.run(IDLE, 0)
  const after = await server.memory()
  await Promise.all([first.close(), session.close()])
  return (after.rss - before.rss) / IDLE
}
