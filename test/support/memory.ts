import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

interface Collect {
  (options?: { type: 'minor' }): void
}

function collector(): Collect {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as Collect
}

/** Collects what is young, and has become garbage, twice: what is left is moved into the old generation. */
export function collectYoung(): void {
  const collect = collector()
  for (let round = 0; round < 2; round++) collect({ type: 'minor' })
}

/** The bytes of garbage that minor collections leave to the next major one. */
export function leftToMajor(): number {
  collectYoung()
  const { heapUsed } = process.memoryUsage()
  collector()()
  return heapUsed - process.memoryUsage().heapUsed
}

/** The bytes held by Buffers after the garbage of earlier tests has been collected. */
export async function collectedBytes(): Promise<number> {
  const collect = collector()
  for (let round = 0; round < 4; round++) {
    collect()
    await new Promise(setImmediate)
  }
  return process.memoryUsage().arrayBuffers
}

/** The most bytes that Buffers hold at any turn of the event loop during `work`, in addition to those held before. */
export async function peakBytes(work: () => Promise<unknown>): Promise<number> {
  const before = await collectedBytes()
  let peak = before
  let isDone = false
  const look = (): void => {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers)
    if (!isDone) setImmediate(look)
  }
  look()
  await work().finally(() => {
    isDone = true
  })
  return peak - before
}
