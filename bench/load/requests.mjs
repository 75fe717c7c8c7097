// Work made of requests: each of some connections asks one after the other.
import { createHistogram } from 'node:perf_hooks'
import { Connection } from './connection.mjs'

/** A session of `connections` that ask `request` and expect `expected`: `run(amount)`, then `close()`. */
export function openRequests({ port, connections, request, expected }) {
  const all = Array.from({ length: connections }, () => new Connection(port, request, expected))
  return {
    run: (amount) => askAll(all, amount),
    async close() {
      for (const connection of all) connection.close()
    },
  }
}

async function askAll(connections, amount) {
  const latency = createHistogram()
  let left = amount
  let errors = 0
  const askOn = async (connection) => {
    while (left-- > 0) {
      const sent = process.hrtime.bigint()
      if (await connection.ask()) latency.record(process.hrtime.bigint() - sent)
      else errors++
    }
  }
  const started = performance.now()
  await Promise.all(connections.map(askOn))
  return { units: amount, errors, latency, seconds: (performance.now() - started) / 1000 }
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
