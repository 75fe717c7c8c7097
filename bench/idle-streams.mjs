// How much memory a proxy needs for each of 20,000 event streams on which nothing happens.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { findEntries, startEntry } from './entries/index.mjs'
import { get, openRequests } from './load/requests.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { allowOpenFiles } from './measure/open-files.mjs'
import { within } from './measure/slice.mjs'
import { sum } from './measure/statistics.mjs'
import { ITEMS } from './upstream/answers.mjs'
import { startNode } from './upstream/index.mjs'

const NAMES = [
  'floor',
  'sluiceway',
  'sluiceway-bare',
  'http-proxy',
  'express-http-proxy',
  'fast-proxy',
  'go',
  'nginx-unbuffered',
]
const STREAMS = 20_000
/** What a process needs besides the two files of each stream. */
const SPARE = 500
/** For each process; `scale` makes it less too. */
const WARM_UP = { requests: 1000, streams: 300 }
const PATIENCE_MS = 60_000

export async function run({ scale = 1, entries = NAMES, nodes = nodesOf(), save = () => {} } = {}) {
  pinThisProcess()
  const node = middleOf(nodes)
  const streams = Math.ceil(STREAMS * scale)
  const files = allowOpenFiles(2 * streams + SPARE)
  const processes = Math.ceil((2 * streams) / (files - SPARE))
  const { found, missing } = findEntries(entries)
  const result = { node: node.major, streams, files: Math.min(files, 1e6), processes, missing, rows: [] }
  for (const entry of found) {
    result.rows.push(await measured(entry, node, { streams, processes, scale }))
    process.stdout.write(`${entry.title}: done\n`)
    save(result)
  }
  return result
}

async function measured({ name, title, host }, node, { streams, processes, scale }) {
  const each = Math.ceil(streams / processes)
  const parts = []
  try {
    for (let n = 0; n < processes; n++) parts.push(await start(name, node, each, scale))
    for (const part of parts) await within(PATIENCE_MS, part.open())
    const figures = []
    for (const part of parts) figures.push(await within(PATIENCE_MS, part.figures()))
    return { name, title, host, ...totalOf(figures, each * processes) }
  } catch ({ message }) {
    return { name, title, host, failure: message }
  } finally {
    await Promise.all(parts.map((part) => part.stop()))
  }
}

function totalOf(figures, streams) {
  const all = (kind) => sum(figures.map((figure) => figure[kind]))
  return {
    rss: all('rss') / streams,
    used: all('used') / streams,
    cpu: all('cpu') / streams,
    errors: all('errors'),
  }
}

/** A proxy with an upstream and clients of its own, as each of these may have only so many files open. */
async function start(name, node, streams, scale) {
  const upstream = await startNode()
  const options = { connections: streams + WARM_UP.streams, flags: ['--expose-gc'], node: node.file }
  const proxy = await startEntry(name, upstream.url, options)
  const clients = await startClients(name === 'floor' ? proxy : upstream, proxy.port)
  await warmUp(proxy, clients, Math.min(scale, 1))
  const [before, spent] = [await proxy.memory(), await proxy.cpu()]
  return {
    open: () => clients.open(streams),
    async figures() {
      const [{ rss, used }, cpu] = [await proxy.memory(), await proxy.cpu()]
      const { events, errors } = await clients.tell(streams)
      const missing = errors + streams - events
      return { rss: rss - before.rss, used: used - before.used, cpu: cpu - spent, errors: missing }
    },
    stop: () => Promise.all([clients.stop(), proxy.stop(), upstream.stop()]),
  }
}

async function warmUp(proxy, clients, scale) {
  const requests = openRequests({
    port: proxy.port,
    connections: 32,
    request: get('/items'),
    expected: ITEMS,
  })
  await requests.run(Math.ceil(WARM_UP.requests * scale))
  await requests.close()
  await clients.open(Math.ceil(WARM_UP.streams * scale))
  await clients.ask({ close: true })
}

/** `broadcaster` is the server that holds the other end of the streams. */
async function startClients(broadcaster, port) {
  const child = fork(fileURLToPath(new URL('load/idle-streams.mjs', import.meta.url)))
  await once(child, 'message')
  const ask = async (order) => {
    const answered = once(child, 'message')
    child.send(order)
    return (await answered)[0]
  }
  return {
    ask,
    open: (streams) => ask({ open: { port, channel: 'idle', streams } }),
    /** One event to all: a stream on which it does not come is an error. */
    async tell(streams) {
      await (await fetch(`${broadcaster.url}/broadcast?channel=idle&events=1&everyMs=0`)).text()
      return ask({ expect: streams })
    },
    async stop() {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
