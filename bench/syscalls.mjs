// How many system calls a proxied request costs: strace on the proxy's process while requests go through it.
// The aim: one write to the upstream for a request, one to the client for an answer.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { findEntries, startEntry } from './entries/index.mjs'
import { works } from './load/works.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { startUpstreams } from './upstream/index.mjs'

const REQUESTS = 400
const WRITES = new Set(['write', 'writev', 'sendto', 'sendmsg'])
const READS = new Set(['read', 'readv', 'recvfrom', 'recvmsg'])

const ENTRIES = ['floor', 'sluiceway', 'sluiceway-bare', 'http-proxy', 'fastify-http-proxy', 'go', 'nginx']

export async function run({ entries = ENTRIES, nodes = nodesOf() } = {}) {
  if (spawnSync('strace', ['-V']).status !== 0) {
    console.log('left out: there is no strace on this machine')
    return undefined
  }
  const upstreams = await startUpstreams()
  const node = middleOf(nodes)
  const results = []
  for (const entry of findEntries(entries).found) {
    for (const work of [works.get, works.post, works.sequential]) {
      results.push({
        entry: entry.name,
        work: work.name,
        ...(await trace(entry, work, upstreams.fast, node)),
      })
    }
  }
  await upstreams.stop()
  return { node: node.major, requests: REQUESTS, results }
}

async function trace(entry, work, upstream, node) {
  const proxy = await startEntry(entry.name, upstream.url, { node: node.file })
  const session = await work.open({ port: proxy.port, upstream: upstream.url })
  await session.run(1000)
  const lines = await straced(proxy.child.pid, () => session.run(REQUESTS))
  await session.close()
  await proxy.stop()
  return perRequest(lines, proxy.port, upstream.port)
}

/** The lines that strace prints of a process, with all its threads, while `work` is done. */
async function straced(pid, work) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-strace-'))
  const file = path.join(folder, 'trace')
  const tracer = spawn('strace', ['-f', '-yy', '-s', '16', '-o', file, '-p', String(pid)])
  await once(tracer.stderr, 'data') // "Process … attached"
  await work()
  const ended = once(tracer, 'exit')
  tracer.kill('SIGINT')
  await ended
  const lines = readFileSync(file, 'utf8').split('\n')
  rmSync(folder, { recursive: true })
  return lines
}

/** Calls a request, by what they do to whom; `[local->peer]` of a socket tells whose it is. */
function perRequest(lines, ownPort, upstreamPort) {
  const counts = {
    'to client': 0,
    'from client': 0,
    'to upstream': 0,
    'from upstream': 0,
    epoll: 0,
    futex: 0,
    other: 0,
  }
  for (const line of lines) {
    const [, call, peer = ''] = /^\d+ +(\w+)\((?:\d+<TCP:\[([^\]]*))?/.exec(line) ?? []
    if (call) counts[kindOf(call, peer, ownPort, upstreamPort)]++
  }
  return Object.fromEntries(
    Object.entries(counts).map(([kind, count]) => [kind, +(count / REQUESTS).toFixed(2)]),
  )
}

function kindOf(call, peer, ownPort, upstreamPort) {
  const side = peer.startsWith(`127.0.0.1:${ownPort}->`)
    ? 'client'
    : peer.endsWith(`:${upstreamPort}`) && 'upstream'
  if (side && WRITES.has(call)) return `to ${side}`
  if (side && READS.has(call)) return `from ${side}`
  if (call.startsWith('epoll')) return 'epoll'
  return call === 'futex' ? 'futex' : 'other'
}
