import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import express from 'express'
import { passthroughProxy } from 'sluiceway'

/**
 * A proxy in a process of its own, which tells how much memory it uses. Run with `--expose-gc`.
 * 'held' and 'resident' choose what it watches from then on: what is left after garbage was collected, or resident memory
 * as it is. It answers with the bytes at that time, and to 'peak' with the most there were since.
 */
export type MemoryQuestion = 'held' | 'resident' | 'peak'

const SAMPLE_MS = 10

let measure = residentBytes
let peak = 0

function residentBytes(): number {
  return process.memoryUsage.rss()
}

function heldBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function sample(): void {
  peak = Math.max(peak, measure())
}

process.on('message', (question: MemoryQuestion) => {
  if (question !== 'peak') {
    measure = question === 'held' ? heldBytes : residentBytes
    peak = 0
  }
  sample()
  process.send?.(peak)
})
// The test has its answer, or is no more.
process.on('disconnect', () => process.exit())

const app = express().use(passthroughProxy(process.argv[2] ?? ''))
const server = createServer(app).listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port)
})
setInterval(sample, SAMPLE_MS)
