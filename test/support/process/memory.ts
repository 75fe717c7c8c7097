import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The bytes held by Buffers after the garbage of earlier tests has been collected. */
export async function collectedBytes(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
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
