// Who delivers the 413: the same uploads over the limit, by the same clients, to several servers.
// `node bench/delivery.mjs [N] [file]` after `npm run build`; N is how often each client tries, 20 by default, and the
// file is where the results go.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findClients } from './delivery/clients.mjs'
import { findServers } from './delivery/servers.mjs'
import { body, LIMIT, types, UPLOAD } from './delivery/settings.mjs'
import { compactJson } from './report/page.mjs'
import { deliveryParts } from './report/parts/delivery.mjs'

const times = Number(process.argv[2] ?? 20)
const framings = { 'Content-Length': false, chunked: true }
const folder = mkdtempSync(path.join(os.tmpdir(), 'delivery-'))
const uploads = new Map(
  Object.values(types).map((type, index) => {
    const bytes = body(type, UPLOAD)
    const file = path.join(folder, `upload-${index}`)
    writeFileSync(file, bytes)
    return [type, { body: bytes, file }]
  }),
)

const { servers, missing: missingServers } = findServers()
const { clients, missing: missingClients, stop } = await findClients()
const tables = Object.keys(framings).map(() => [])
const failures = []
for (const server of servers) {
  const running = await server.start()
  await checkTakesSmall(server, running)
  for (const [number, [framing, chunked]] of Object.entries(framings).entries()) {
    const cells = []
    for (const client of clientsFor(chunked)) {
      cells.push(await measure(server, running, client, framing, chunked))
      process.stderr.write('.')
    }
    tables[number].push([server.title, ...cells])
  }
  await running.stop()
}
stop()
rmSync(folder, { recursive: true })
writeAll()

function clientsFor(chunked) {
  return clients.filter(({ onlyChunked }) => chunked || !onlyChunked)
}

/** A server that refuses everything would deliver each 413. */
async function checkTakesSmall({ type, secure, title }, { port }) {
  if (secure) return
  const answer = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'content-type': type.contentType },
    body: type === types.json ? JSON.stringify({ x: 'x'.repeat(LIMIT / 2) }) : body(type, LIMIT / 2),
  })
  const text = await answer.text()
  if (answer.status !== 200 || text !== 'taken') throw new Error(`${title}: ${answer.status} ${text}`)
}

async function measure(server, running, client, framing, chunked) {
  if (server.secure && !client.overTls) return '–'
  const target = { port: running.port, secure: server.secure, contentType: server.type.contentType }
  const results = []
  for (let time = 0; time < times; time++) {
    const before = await settledBytes(running)
    const result = await client.upload(target, { chunked, ...uploads.get(server.type) })
    const after = await settledBytes(running)
    results.push({ ...result, swallowed: before === undefined ? result.written : after - before })
  }
  noteFailures(results, `${server.title}, ${client.title}, ${framing}`)
  return cell(results, running.bytesRead === undefined)
}

/** What the server has read once it reads no more: part of the upload may still lie in its socket buffer. */
async function settledBytes({ bytesRead }) {
  if (!bytesRead) return undefined
  let bytes = await bytesRead()
  for (let before = -1; bytes !== before;) {
    before = bytes
    await delay(25)
    bytes = await bytesRead()
  }
  return bytes
}

function noteFailures(results, where) {
  const counts = new Map()
  for (const { outcome } of results) {
    if (outcome !== 413) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  for (const [outcome, count] of counts) failures.push(`${where}: ${count} × ${outcome}`)
}

function cell(results, writtenOnly) {
  const delivered = results.filter(({ outcome }) => outcome === 413)
  const time = delivered.length > 0 ? `${median(delivered.map(({ ms }) => ms)).toFixed(0)} ms` : 'never'
  const known = results.every(({ swallowed }) => swallowed !== undefined)
  const bytes = known ? megabytes(median(results.map(({ swallowed }) => swallowed))) : '?'
  return `${delivered.length} of ${times}, ${time}, ${writtenOnly && known ? '≤ ' : ''}${bytes}`
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 100e6 ? 1 : 0)} MB`
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

function writeAll() {
  const cpus = os.cpus()
  const result = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus[0].model}, ${cpus.length} cores`,
    node: process.versions.node,
    times,
    missing: [...missingServers, ...missingClients],
    tables: Object.entries(framings).map(([framing, chunked], number) => ({
      framing,
      clients: clientsFor(chunked).map(({ title }) => title),
      rows: tables[number].map(([server, ...cells]) => ({ server, cells })),
    })),
    failures,
  }
  for (const { text } of deliveryParts(result)) console.log(`\n${text}`)
  if (process.argv[3]) writeFileSync(process.argv[3], compactJson(result))
}
