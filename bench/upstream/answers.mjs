// What an upstream answers, in Node: the same bytes as nginx.conf, and those that nginx cannot (an echo, events).
// The bare Express entry mounts it too, as the floor: what the answer costs without a proxy.
import { once } from 'node:events'

export const ITEMS = Buffer.from(
  JSON.stringify(Array.from({ length: 9 }, (_, id) => ({ id: 100 + id, name: `item ${id}` }))).padEnd(300),
)
export const SIZES = { '100k': 100 * 1024, '10m': 10 * 1024 * 1024 }

/** Bytes that are not all alike, the same in each process. */
export function bytesOf(size) {
  const bytes = Buffer.alloc(size)
  for (let at = 0, value = 1; at < size; at++) {
    value = (Math.imul(value, 1103515245) + 12345) & 0x7fffffff
    bytes[at] = value >>> 16
  }
  return bytes
}

const files = new Map()
const listeners = new Map()

/** Answers a timed request; false for a path it does not know. */
export function answer(req, res) {
  const [, name, argument] = req.url.split(/[/?]/)
  if (name === 'items') sendItems(res)
  else if (name === 'bytes') sendFile(res, argument)
  else if (name === 'gigabyte') void sendGigabyte(res)
  else if (name === 'slow-upload') void readSlowly(req, res)
  else if (name === 'upload') req.resume().on('end', () => sendItems(res))
  else if (name === 'events') listenTo(argument, res)
  else if (name === 'broadcast') void broadcast(new URLSearchParams(argument), res)
  else return false
  return true
}

function sendItems(res) {
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': ITEMS.length,
    'Last-Modified': 'Sun, 22 Nov 2026 08:00:00 GMT',
    ETag: '"6921-12c"',
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, max-age=60',
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': '0c3d8a5e9b7f4d21',
    'Content-Language': 'en',
  }
  for (const name in headers) res.setHeader(name, headers[name])
  res.end(ITEMS)
}

function sendFile(res, name) {
  if (!files.has(name)) files.set(name, bytesOf(SIZES[name]))
  res.setHeader('Content-Type', 'application/octet-stream')
  res.setHeader('Content-Length', SIZES[name])
  res.end(files.get(name))
}

export const GIGABYTE = 1024 ** 3
const PIECE = Buffer.alloc(64 * 1024, 'g')
const pause = () => new Promise((resolve) => setTimeout(resolve, SLOW.ms))

/** How the slow side reads: it rests after each so many bytes. */
export const SLOW = { bytes: 2 ** 20, ms: 2 }

async function sendGigabyte(res) {
  res.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': GIGABYTE })
  for (let sent = 0; sent < GIGABYTE && !res.destroyed; sent += PIECE.length)
    if (!res.write(PIECE)) await once(res, 'drain')
  res.end()
}

/** Answers with the number of bytes. */
async function readSlowly(req, res) {
  let [read, rested] = [0, 0]
  for await (const chunk of req) {
    read += chunk.length
    if (read - rested < SLOW.bytes) continue
    rested = read
    await pause()
  }
  res.end(String(read))
}

function listenTo(channel, res) {
  const all = listeners.get(channel) ?? new Set()
  listeners.set(channel, all.add(res))
  res.on('close', () => all.delete(res))
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  res.write(':\n\n')
}

/** Sends each listener of a channel so many events, one every so many milliseconds, each with the time it was sent. */
async function broadcast(query, res) {
  const all = listeners.get(query.get('channel')) ?? new Set()
  for (let sent = 0; sent < Number(query.get('events')); sent++) {
    const event = `data: ${process.hrtime.bigint()} `.padEnd(98, '.') + '\n\n'
    for (const listener of all) listener.write(event)
    await new Promise((resolve) => setTimeout(resolve, Number(query.get('everyMs'))))
  }
  res.end(String(all.size))
}
