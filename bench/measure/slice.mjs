// Slices of work on several servers, in turns.
import { inTurn, median, sum } from './statistics.mjs'

const SETTLE_MS = 1500
const WARM_UP_MS = 100
/** A slice that is not over by then never will be. */
const PATIENCE_MS = 60_000

/**
 * Measures `work` on each of `targets` (`{ server, session }`), as many slices as rounds, and stops them. Sessions stay
 * open between slices, as clients of a server do. Gives `{ slices, failure }` for each target: one that fails is left
 * out from then on, and costs the others nothing.
 */
export async function measureInTurns(work, targets, { rounds, scale }) {
  const all = targets.map((target) => ({ ...target, slices: [], failure: undefined }))
  for (const target of all) await attempt(target, () => settle(work, target.session, scale))
  for (let round = 0; round < rounds; round++) {
    for (const target of inTurn(all, round))
      await attempt(target, async () => target.slices.push(await measureSlice(work, target, scale)))
  }
  for (const { session, server } of all) {
    await session.close()
    await server.stop()
  }
  return all.map(({ slices, failure }) => ({ slices, failure }))
}

async function attempt(target, action) {
  if (target.failure !== undefined) return
  try {
    await within(PATIENCE_MS, action())
  } catch (error) {
    target.failure = error.message
  }
}

/** Rejects where `promise` takes longer. */
export function within(ms, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** The medians of some slices, but all of their errors. */
export function mediansOf(slices) {
  const kinds = Object.keys(slices[0])
  const medians = Object.fromEntries(kinds.map((kind) => [kind, median(slices.map((slice) => slice[kind]))]))
  return { ...medians, errors: sum(slices.map(({ errors }) => errors)) }
}

/** Works for a while before the first slice: V8 compiles a hot path twice before it is as fast as it gets. */
async function settle(work, session, scale) {
  const until = performance.now() + SETTLE_MS * scale
  do await warmUp(work, session, scale)
  while (performance.now() < until)
}

async function warmUp(work, session, scale) {
  const { units, errors } = await session.run(amountOf(work.warmUp, scale), WARM_UP_MS * scale)
  if (errors > 0) throw new Error(`${errors} of ${units} answers were wrong or missing`)
}

/** Work without an amount goes on until its time is over. */
function amountOf(amount = Infinity, scale) {
  return Math.ceil(amount * scale)
}

/** CPU microseconds a unit, latencies in ms, peak of resident memory in MB, errors. */
async function measureSlice(work, { server, session }, scale) {
  await warmUp(work, session, scale)
  server.resetPeak()
  const before = await server.cpu()
  const { units, errors, latency, seconds } = await session.run(amountOf(work.amount, scale), work.ms * scale)
  const cpu = (await server.cpu()) - before
  if (errors === units) throw new Error('no answer was right')
  const peak = await server.peak()
  return {
    cpu: cpu / units,
    p50: latency.percentile(50) / 1e6,
    p99: latency.percentile(99) / 1e6,
    peak: peak / 1e6,
    perSecond: units / seconds,
    errors,
  }
}
