// A string is replaced in a response of 50 MB, as text and in gzip: when does its first byte come, and what does it cost?
// `node bench/transform.mjs [N]` after `npm run build`; N is how often each is asked, 7 by default. The table is for
// docs/passthrough-proxy.md.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import os from 'node:os'
import zlib from 'node:zlib'
import { pinThisProcess } from './measure/cores.mjs'
import { ServerProcess } from './measure/server-process.mjs'
import { median } from './measure/statistics.mjs'
import { startSubFilter } from './transform/nginx.mjs'
import { changed, page } from './transform/settings.mjs'
import { findNginx } from './upstream/nginx.mjs'

const times = Number(process.argv[2] ?? 7)
const original = page()
const expected = sum(Buffer.from(changed(original.toString('latin1')), 'latin1'))
const bodies = { text: original, gzip: zlib.gzipSync(original, { level: 1 }) }

/** An entry that takes longer is asked once. */
const TOO_SLOW_MS = 10_000

pinThisProcess()
const upstream = http.createServer((req, res) => {
  const coding = req.url.slice(1)
  res.setHeader('Content-Type', 'text/html')
  if (coding === 'gzip') res.setHeader('Content-Encoding', 'gzip')
  res.setHeader('Content-Length', bodies[coding].length).end(bodies[coding])
})
upstream.listen(0, '127.0.0.1')
await once(upstream, 'listening')
const target = `http://127.0.0.1:${upstream.address().port}`

const serve = new URL('transform/serve.mjs', import.meta.url)
const starts = {
  'passthroughProxy, nothing changed': () => ServerProcess.start(serve, ['untouched', target]),
  'passthroughProxy, `decode` and `pipeThrough`': () => ServerProcess.start(serve, ['sluiceway', target]),
  'http-proxy-middleware, `responseInterceptor`': () =>
    ServerProcess.start(serve, ['http-proxy-middleware', target]),
  'express-http-proxy, `userResDecorator`': () => ServerProcess.start(serve, ['express-http-proxy', target]),
  ...(findNginx() && { 'nginx, `sub_filter`': () => startSubFilter(target) }),
}

/** nginx cannot filter what is compressed. */
const skipped = (name, coding) => coding === 'gzip' && name.startsWith('nginx')

const rows = []
for (const [name, start] of Object.entries(starts)) {
  const cells = []
  for (const coding of Object.keys(bodies)) {
    if (skipped(name, coding)) cells.push('–', '–', '–', '–')
    else cells.push(...(await measured(start, coding, name.endsWith('changed'))))
  }
  rows.push([name, ...cells])
  console.error(rows.at(-1).join(' | '))
}
upstream.close()
print()

function isSlow([sample]) {
  return sample !== undefined && sample[1] > TOO_SLOW_MS
}

/** Medians: ms to the first byte and to the last, CPU ms, peak of resident memory in MB. */
async function measured(start, coding, isUntouched) {
  const server = await start()
  const samples = []
  for (let time = 0; time <= times && !isSlow(samples); time++) {
    server.resetPeak()
    const before = await server.cpu()
    const { first, last, digest } = await ask(server.port, coding)
    if (!isUntouched && digest !== expected) throw new Error(`another body than it should be, in ${coding}`)
    const cpu = ((await server.cpu()) - before) / 1000
    // The first one warms up, unless a second one would take too long.
    if (time > 0 || last > TOO_SLOW_MS) samples.push([first, last, cpu, (await server.peak()) / 1e6])
  }
  await server.stop()
  return [0, 1, 2, 3].map((column) => median(samples.map((sample) => sample[column])).toFixed(0))
}

async function ask(port, coding) {
  const from = performance.now()
  const request = http.get({ port, path: `/${coding}`, agent: false, headers: { 'Accept-Encoding': coding } })
  const [response] = await once(request, 'response')
  const chunks = []
  let first
  for await (const chunk of response) {
    first ??= performance.now() - from
    chunks.push(chunk)
  }
  const last = performance.now() - from
  const body = Buffer.concat(chunks)
  return {
    first,
    last,
    digest: sum(response.headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(body) : body),
  }
}

function sum(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

function print() {
  const cpus = os.cpus()
  const about = `${new Date().toISOString().slice(0, 10)}, ${cpus[0].model}, ${cpus.length} cores, Node ${process.versions.node}, nginx ${findNginx()}`
  console.log(`\n${about}, N = ${times}, load ${os.loadavg()[0].toFixed(1)}.\n`)
  const heads = ['first byte', 'last byte', 'CPU', 'peak memory']
  const heading = ['', ...Object.keys(bodies).flatMap((coding) => heads.map((head) => `${coding}: ${head}`))]
  const units = [' ms', ' ms', ' ms', ' MB']
  const withUnit = (cell, index) => (index === 0 || cell === '–' ? cell : cell + units[(index - 1) % 4])
  for (const row of [heading, heading.map(() => '---'), ...rows.map((cells) => cells.map(withUnit))]) {
    console.log(`| ${row.join(' | ')} |`)
  }
}
