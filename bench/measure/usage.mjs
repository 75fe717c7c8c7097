// Runs in each measured process: answers, over IPC, what its parent (server-process.mjs) asks about it.
import { setImmediate as turn } from 'node:timers/promises'

const answers = {
  /** Microseconds of CPU, in user and system mode, by all threads since the start. */
  cpu() {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  /** Peak of the resident memory in bytes, where /proc does not tell. */
  peak: () => process.resourceUsage().maxRSS * 1024,
  /** Bytes in use once the garbage is gone; needs `--expose-gc`. */
  async memory() {
    for (let pass = 0; pass < 4; pass++) {
      globalThis.gc()
      await turn()
    }
    const { rss, heapUsed, external } = process.memoryUsage()
    return { rss, used: heapUsed + external }
  },
}

/**
 * Tells the parent that `server` listens, and answers it from then on; ends with it. `more` answers further questions;
 * a question that this process does not know is answered with null.
 */
export function report(server, more = {}) {
  const all = { ...answers, ...more }
  process.on('message', (question) => {
    void Promise.resolve(all[question]?.() ?? null).then((figure) => process.send(figure))
  })
  process.on('disconnect', () => process.exit())
  process.send(server.address().port)
}

/** Makes `server` listen on a free port of 127.0.0.1, with room for 1000 clients that come at once. */
export function listen(server) {
  // A client that waits for its next turn in the measurement is not an idle one.
  server.keepAliveTimeout = 600_000
  return new Promise((resolve) => server.listen(0, '127.0.0.1', 2048, () => resolve(server)))
}
