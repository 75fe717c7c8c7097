// Work made of server-sent events: many clients listen, and the upstream tells all of them the same.
import { once } from 'node:events'
import http from 'node:http'
import { createHistogram } from 'node:perf_hooks'

const EVERY_MS = 50
const PATIENCE = 20_000
let channels = 0

/** A session of `clients` at a proxy before `upstream` (a URL), or at the upstream itself. */
export async function openEvents({ port, upstream, clients }) {
  const channel = `c${process.pid}-${channels++}`
  const listeners = await Promise.all(Array.from({ length: clients }, () => listen(port, channel)))
  return {
    run: (amount) => broadcast(listeners, upstream, channel, amount),
    async close() {
      for (const { request } of listeners) request.destroy()
    },
  }
}

/** `amount` deliveries in all. An event that does not come is an error. */
async function broadcast(listeners, upstream, channel, amount) {
  const latency = createHistogram()
  const events = Math.max(1, Math.round(amount / listeners.length))
  const started = performance.now()
  const told = fetch(`${upstream}/broadcast?channel=${channel}&events=${events}&everyMs=${EVERY_MS}`)
  const missing = await Promise.all(listeners.map((listener) => receive(listener, events, latency)))
  await (await told).text()
  const errors = missing.reduce((total, count) => total + count, 0)
  return { units: events * listeners.length, errors, latency, seconds: (performance.now() - started) / 1000 }
}

async function listen(port, channel) {
  const request = http.get({ port, host: '127.0.0.1', path: `/events?${channel}`, agent: false })
  request.on('error', () => {})
  const signal = AbortSignal.timeout(PATIENCE)
  const [response] = await once(request, 'response', { signal })
  response.setEncoding('latin1').on('error', () => {})
  await once(response, 'data', { signal })
  return { request, response }
}

/** How many of the events did not come. */
function receive({ response }, events, latency) {
  return new Promise((resolve) => {
    let left = events
    let rest = ''
    const patience = setTimeout(finish, PATIENCE)
    response.on('data', read).on('close', finish)
    function read(chunk) {
      const now = process.hrtime.bigint()
      const lines = (rest + chunk).split('\n\n')
      rest = lines.pop()
      for (const line of lines) latency.record(now - BigInt(/^data: (\d+) /.exec(line)[1]))
      left -= lines.length
      if (left === 0) finish()
    }
    function finish() {
      clearTimeout(patience)
      response.off('data', read).off('close', finish)
      resolve(left)
    }
  })
}
