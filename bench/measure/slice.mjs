// One slice of work on one server. The session stays open between slices, as clients of a proxy do.

const SETTLE_MS = 3000

/** Works for a while before the first slice: V8 compiles a hot path twice before it is as fast as it gets. */
export async function settle(work, session, scale = 1) {
  const until = performance.now() + SETTLE_MS * scale
  do await session.run(Math.ceil(work.warmUp * scale))
  while (performance.now() < until)
}

/** CPU microseconds a unit, latencies in ms, peak of resident memory in MB, errors. */
export async function measureSlice(work, server, session, scale = 1) {
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
