// Clients of event streams that have nothing to say, in a process of their own: `node idle-streams.mjs`. Each has a raw
// socket; an answer of another status than 200, or a stream that ends, is an error.
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Connections that are being opened at once: no server's backlog is that short. */
const AT_ONCE = 100
/** An event that has not come by then is lost. */
const PATIENCE_MS = 10_000
const CHECK_MS = 50

let events = 0
let errors = 0
const sockets = []

process.on('message', (order) => void obey(order).then((answer) => process.send(answer)))
process.on('disconnect', () => process.exit())
process.send('ready')

async function obey({ open, close, expect }) {
  if (open) await openAll(open)
  if (close) closeAll()
  if (expect) await eventsToCome(expect)
  return { events, errors }
}

async function eventsToCome(expected) {
  for (let waited = 0; waited < PATIENCE_MS; waited += CHECK_MS) {
    if (events >= expected) return
    await delay(CHECK_MS)
  }
}

async function openAll({ port, channel, streams }) {
  let left = streams
  const openOn = async () => {
    while (left-- > 0) await listen(port, channel)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, openOn))
}

/** Until the head and the first bytes of the stream are here. */
function listen(port, channel) {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    sockets.push(socket)
    const lost = () => {
      errors++
      resolve()
    }
    let head = ''
    const readHead = (chunk) => {
      head += chunk.toString('latin1')
      if (!head.includes('\r\n\r\n') || !/\n:\n\n/.test(head)) return
      if (!head.startsWith('HTTP/1.1 200 ')) errors++
      socket.off('data', readHead).on('data', countEvents)
      resolve()
    }
    socket
      .on('error', () => {})
      .on('close', lost)
      .on('data', readHead)
    socket.write(`GET /events?${channel} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n`)
  })
}

function countEvents(chunk) {
  if (chunk.includes('data: ')) events++
}

function closeAll() {
  for (const socket of sockets.splice(0)) socket.removeAllListeners('close').destroy()
}
