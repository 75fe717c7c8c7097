import type { Dispatcher } from 'sluiceway'
import * as undici7 from 'undici'
import { hasNode22Packages, loadNode22 } from '../repository/node22.js'

export type Undici = typeof undici7

/** A dispatcher for tests, whose connections can be ended. */
export interface ClosableDispatcher extends Dispatcher {
  close(): Promise<void>
  destroy(): Promise<void>
}

/** The parts used by the tests have the same types in both, except for the handlers. */
export function undici8(): Promise<Undici> {
  return loadNode22<Undici>('undici')
}

/** The versions that run on this Node and are installed. */
export const undiciVersions: readonly [string, () => Promise<Undici>][] = [
  ['undici 7', async () => undici7],
  ...(hasNode22Packages ? [['undici 8', undici8] as [string, () => Promise<Undici>]] : []),
]
