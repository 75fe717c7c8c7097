import type { Dispatcher } from 'sluiceway'
import * as undici7 from 'undici'

export type Undici = typeof undici7

/** A dispatcher for tests, whose connections can be ended. */
export interface ClosableDispatcher extends Dispatcher {
  close(): Promise<void>
  destroy(): Promise<void>
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

export const runsUndici8 = major > 22 || (major === 22 && minor >= 19)

async function undici8(): Promise<Undici> {
  // The parts used by the tests have the same types in both, except for the handlers.
  return (await import('undici8')) as unknown as Undici
}

/** The versions that run on this Node. */
export const undiciVersions: readonly [string, () => Promise<Undici>][] = [
  ['undici 7', async () => undici7],
  ...(runsUndici8 ? [['undici 8', undici8] as [string, () => Promise<Undici>]] : []),
]
