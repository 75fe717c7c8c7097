import { root } from '../repository/repository.js'

/** The timers of sluiceway, which are not the global ones. */
export const { timers } = (await import(`${root}/dist/esm/node/timers.js`)) as {
  timers: { setTimeout: typeof setTimeout; clearTimeout: typeof clearTimeout; now: () => number }
}
