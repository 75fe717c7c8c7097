// Work made of requests: each of some connections asks one after the other.
import { createHistogram } from 'node:perf_hooks'
import { Connection } from './connection.mjs'

/** A server that gives so many wrong answers in a row of work is not asked on: each may take a client's whole patience. */
const MAX_ERRORS = 50

/** A session of `connections` that ask `request` and expect `expected`: `run(amount, ms)`, then `close()`. */
export function openRequests({ port, connections, request, expected }) {
  const all = Array.from({ length: connections }, () => new Connection(port, request, expected))
  return {
    run: (amount, ms) => askAll(all, amount, ms),
    async close() {
      for (const connection of all) connection.close()
    },
  }
}

/** So many requests, or as many as `ms` allow; each connection asks at least once. */
async function askAll(connections, amount, ms = Infinity) {
  const counts = { asked: 0, errors: 0, latency: createHistogram() }
  const started = performance.now()
  const mayGoOn = () =>
    counts.asked < amount && counts.errors < MAX_ERRORS && performance.now() - started < ms
  const askOn = async (connection) => {
    do await askOnce(connection, counts)
    while (mayGoOn())
  }
  await Promise.all(connections.slice(0, amount).map(askOn))
  const seconds = (performance.now() - started) / 1000
  return { units: counts.asked, errors: counts.errors, latency: counts.latency, seconds }
}

async function askOnce(connection, counts) {
  counts.asked++
  const sent = process.hrtime.bigint()
  if (await connection.ask()) counts.latency.record(process.hrtime.bigint() - sent)
  else counts.errors++
}

/** The head of a request as a browser's proxy sees it: 12 lines, some 300 bytes. */
export function head(method, path, more = []) {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: bench.example',
    'Connection: keep-alive',
    'Accept: application/json',
    'Accept-Encoding: gzip, br',
    'Accept-Language: en',
    'Cache-Control: no-cache',
    'Cookie: session=0123456789abcdef',
    'Referer: http://bench.example/',
    'User-Agent: bench/1',
    'X-Request-Id: 0c3d8a5e9b7f4d21',
    ...(more.length > 0 ? more : ['Sec-Fetch-Mode: cors', 'Sec-Fetch-Site: same-origin']),
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
}

export function get(path) {
  return head('GET', path)
}

export function post(path, type, body) {
  return Buffer.concat([
    head('POST', path, [`Content-Type: ${type}`, `Content-Length: ${body.length}`]),
    body,
  ])
}
