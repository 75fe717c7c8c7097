// Who runs where: the measured process alone on one core, the load and its upstream on another.
import { spawnSync } from 'node:child_process'
import os from 'node:os'

const canPin = os.availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0
const last = os.cpus().length - 1

/** The core of the measured process; undefined where processes cannot be bound to cores. */
export const SERVER_CORE = canPin ? last : undefined
/** The core of the load and the upstream. */
export const LOAD_CORE = canPin ? 0 : undefined
export const PINNING = canPin
  ? `the measured process on core ${last}, load and upstream on core 0`
  : 'not bound to cores: no `taskset`, or only one core'

/** The command that runs `file` on `core` alone, or anywhere. */
export function pinned(core, file, args) {
  return core === undefined ? { file, args } : { file: 'taskset', args: ['-c', String(core), file, ...args] }
}

/** Binds this process, with all its threads, to the core of the load. */
export function pinThisProcess() {
  bind(String(LOAD_CORE))
}

/** Lets this process, and those it starts with no core of their own, run anywhere. */
export function unpinThisProcess() {
  bind(`0-${last}`)
}

function bind(cores) {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', cores, String(process.pid)])
}
