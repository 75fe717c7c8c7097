import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Transform } from 'node:stream'
import express from 'express'
import { passthroughProxy } from 'sluiceway'

/**
 * A proxy in its own process, which reports how much memory it uses. Run with `--expose-gc`.
 * 'held' and 'resident' choose what it watches from then on: the memory left after a garbage collection, or the resident memory
 * as it is. It answers with the current bytes, and to 'peak' with the most since then.
 */
export type MemoryQuestion = 'held' | 'resident' | 'peak'

/** A garbage collection takes so long that a body of many small chunks would hardly move between those of every 10 ms. */
const SAMPLE_MS = { held: 100, resident: 10 }

let watched: keyof typeof SAMPLE_MS = 'resident'
let peak = 0

function residentBytes(): number {
  return process.memoryUsage.rss()
}

function heldBytes(): number {
  // The memory of a buffer goes with the collection after the one that finds it unused.
  for (let times = 0; times < 2; times++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function sample(): void {
  peak = Math.max(peak, watched === 'held' ? heldBytes() : residentBytes())
}

process.on('message', (question: MemoryQuestion) => {
  if (question !== 'peak') {
    watched = question
    peak = 0
  }
  sample()
  process.send?.(peak)
})
// The test has its answer, or has ended.
process.on('disconnect', () => process.exit())

const target = process.argv[2] ?? ''

/** Changes each byte, and is slower than the connections. */
function changed(): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) =>
      done(
        null,
        chunk.map((byte) => byte ^ 1),
      ),
  })
}

const changing = passthroughProxy(target, {
  onRequest: (outgoing) => void outgoing.pipeThrough(changed()),
  onResponse: (incoming) => void incoming.decode().pipeThrough(changed()),
})
const app = express().use('/changed', changing).use(passthroughProxy(target))
const server = createServer(app).listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port)
})
function keepSampling(): void {
  sample()
  setTimeout(keepSampling, SAMPLE_MS[watched])
}
keepSampling()
