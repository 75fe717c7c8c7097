// Clients of WebSockets: raw sockets, as those of requests are.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { createHistogram } from 'node:perf_hooks'

const PATIENCE = 20_000
const text = Buffer.alloc(100, 't')
/** A masked text message; a mask of zeros changes nothing. */
const message = Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text])
const echo = Buffer.concat([Buffer.from([0x81, text.length]), text])

/** A session of so many open WebSockets: `run(amount, ms)`, then `close()`. */
export async function openWebSockets({ port, connections }) {
  const all = await Promise.all(Array.from({ length: connections }, () => open(port)))
  return {
    run: (amount, ms) => talk(all, amount, ms),
    async close() {
      for (const { socket } of all) socket.destroy()
    },
  }
}

/** A session of so many clients at once, each of which opens a WebSocket, sends `messages`, and leaves, again and again. */
export function openVisits({ port, connections, messages }) {
  const visitOn = async (left) => {
    let errors = 0
    while (left.pop() !== undefined) errors += await visit(port, messages)
    return errors
  }
  const run = async (amount) => {
    const left = Array.from({ length: amount }, (_, index) => index)
    const errors = await Promise.all(Array.from({ length: connections }, () => visitOn(left)))
    return { units: amount, errors: errors.reduce((total, count) => total + count, 0) }
  }
  return { run, close: () => undefined }
}

async function visit(port, messages) {
  const session = await openWebSockets({ port, connections: 1 })
  const { errors } = await session.run(messages)
  await session.close()
  return errors
}

async function open(port) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  socket.setTimeout(PATIENCE, () => socket.destroy()).on('error', () => {})
  socket.write(
    `GET /socket HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  )
  const [head] = await once(socket, 'data', { signal: AbortSignal.timeout(PATIENCE) })
  if (!head.toString('latin1').startsWith('HTTP/1.1 101 '))
    throw new Error(`no 101, but ${head.subarray(0, 40)}`)
  socket.setTimeout(0)
  return { socket }
}

/** Each sends a message as soon as the last one is back. */
async function talk(all, amount, ms = Infinity) {
  const counts = { units: 0, errors: 0, latency: createHistogram() }
  const started = performance.now()
  const mayGoOn = () => counts.units < amount && performance.now() - started < ms
  await Promise.all(all.map((client) => talkOn(client, counts, mayGoOn)))
  return { ...counts, seconds: (performance.now() - started) / 1000 }
}

async function talkOn({ socket }, counts, mayGoOn) {
  do {
    counts.units++
    const sent = process.hrtime.bigint()
    const isRight = await echoed(socket)
    if (!isRight) counts.errors++
    if (!isRight) return
    counts.latency.record(process.hrtime.bigint() - sent)
  } while (mayGoOn())
}

function echoed(socket) {
  return new Promise((resolve) => {
    let rest = echo
    const end = (isRight) => {
      socket.off('data', read).off('close', lost)
      resolve(isRight)
    }
    const read = (chunk) => {
      const isRight = chunk.equals(rest.subarray(0, chunk.length))
      rest = rest.subarray(chunk.length)
      if (!isRight || rest.length === 0) end(isRight)
    }
    const lost = () => end(false)
    socket.on('data', read).on('close', lost)
    socket.write(message)
  })
}
