// Requests that come at a rate of their own, whether the answers are quick or not: a cheap proxy gets no more of them.
import { createHistogram } from 'node:perf_hooks'
import { Connection } from './connection.mjs'

const TICK_MS = 1

/** A session of at most `connections`: `run(perSecond, ms)`, then `close()`. */
export function openAtRate({ port, connections, request, expected }) {
  const all = Array.from({ length: connections }, () => new Connection(port, request, expected))
  return {
    run: (perSecond, ms) => sendAtRate([...all], perSecond, ms),
    async close() {
      for (const connection of all) connection.close()
    },
  }
}

/** A request waits, and that counts, where all connections are in use. */
async function sendAtRate(free, perSecond, ms) {
  const counts = { units: 0, errors: 0, latency: createHistogram(), waiting: [], running: new Set() }
  const started = performance.now()
  for (let due = 0; performance.now() - started < ms;) {
    const now = process.hrtime.bigint()
    const until = ((performance.now() - started) / 1000) * perSecond
    for (; due < until; due++) counts.waiting.push(now)
    serve(free, counts)
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  while (counts.running.size > 0) await Promise.all(counts.running)
  return counts
}

/** Puts what waits on the connections that are free; each takes what waits then too. */
function serve(free, counts) {
  while (free.length > 0 && counts.waiting.length > 0) {
    const served = serveOn(free.pop(), counts).then((connection) => {
      counts.running.delete(served)
      return free.push(connection)
    })
    counts.running.add(served)
  }
}

async function serveOn(connection, counts) {
  while (counts.waiting.length > 0) {
    const due = counts.waiting.shift()
    counts.units++
    if (await connection.ask()) counts.latency.record(process.hrtime.bigint() - due)
    else counts.errors++
  }
  return connection
}
