import type { Dispatcher } from 'sluiceway'
import * as undici7 from 'undici'

import { hasNode22Packages, loadNode22 } from './node22.js'

export type Undici = typeof undici7

/** A dispatcher of the tests' own, whose connections can be ended. */
export interface ClosableDispatcher extends Dispatcher {
  close(): Promise<void>
  destroy(): Promise<void>
}

/** What the tests use of it has the same types in both, but for the handlers. */
export function undici8(): Promise<Undici> {
  return loadNode22<Undici>('undici')
}

/** What runs here. */
export const undiciVersions: readonly [string, () => Promise<Undici>][] = [
  ['undici 7', async () => undici7],
  ...(hasNode22Packages ? [['undici 8', undici8] as [string, () => Promise<Undici>]] : []),
]
