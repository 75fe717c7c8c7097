// Slices of work on several servers, in turns.
import { inTurn, median, sum } from './statistics.mjs'

const SETTLE_MS = 3000

/**
 * Measures `work` on each of `targets` (`{ server, session }`), as many slices as rounds, and stops them. Sessions stay
 * open between slices, as clients of a server do. Gives a list of slices for each target.
 */
export async function measureInTurns(work, targets, { rounds, scale }) {
  for (const { session } of targets) await settle(work, session, scale)
  const slices = new Map(targets.map((target) => [target, []]))
  for (let round = 0; round < rounds; round++) {
    for (const target of inTurn(targets, round))
      slices.get(target).push(await measureSlice(work, target, scale))
  }
  for (const { session, server } of targets) {
    await session.close()
    await server.stop()
  }
  return [...slices.values()]
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
  do await session.run(Math.ceil(work.warmUp * scale))
  while (performance.now() < until)
}

/** CPU microseconds a unit, latencies in ms, peak of resident memory in MB, errors. */
async function measureSlice(work, { server, session }, scale) {
  await session.run(Math.ceil(work.warmUp * scale))
  server.resetPeak()
  const before = await server.cpu()
  const { units, errors, latency, seconds } = await session.run(Math.ceil(work.amount * scale))
  const cpu = (await server.cpu()) - before
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
