// The clients of bench/delivery.mjs that speak HTTP over a socket of their own.
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { PATIENCE } from './settings.mjs'

const PIECE = 64 * 1024

/** Writes all of its body before it reads a byte of the answer, and gives up when it cannot write. */
export async function writeFirst(target, { chunked, body }) {
  return overSocket(target, async (socket, sent) => {
    socket.pause()
    await write(socket, requestHead(target, chunked ? undefined : body.length), sent)
    for (let at = 0; at < body.length; at += PIECE) {
      const piece = body.subarray(at, at + PIECE)
      await write(socket, chunked ? chunkOf(piece) : piece, sent)
    }
    if (chunked) await write(socket, '0\r\n\r\n', sent)
    return readStatus(socket)
  })
}

/** Sends chunks without end while it reads, and leaves at a complete answer. */
export async function endless(target, { body }) {
  return overSocket(target, (socket, sent) => {
    const answered = readStatus(socket)
    // Not awaited: a write may hang on a server that has answered and reads no more.
    void sendChunks(socket, target, body, sent)
    return answered
  })
}

async function sendChunks(socket, target, body, sent) {
  const chunk = chunkOf(body.subarray(-PIECE))
  try {
    await write(socket, requestHead(target), sent)
    await write(socket, chunkOf(body.subarray(0, PIECE)), sent)
    while (!socket.destroyed) await write(socket, chunk, sent)
  } catch {
    // The reader of the answer hears of it too.
  }
}

export async function overSocket({ port, secure, patience = PATIENCE }, exchange) {
  const started = performance.now()
  const socket = secure
    ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : net.connect({ port, host: '127.0.0.1' })
  const impatience = setTimeout(() => socket.destroy(new Error(`no answer in ${patience} ms`)), patience)
  const sent = { bytes: 0 }
  socket.on('error', () => {})
  let outcome
  try {
    await once(socket, secure ? 'secureConnect' : 'connect')
    outcome = await exchange(socket, sent)
  } catch (error) {
    outcome = error.code ?? error.message
  }
  const ms = performance.now() - started
  clearTimeout(impatience)
  socket.destroy()
  return { outcome, ms, written: sent.bytes }
}

export function requestHead({ contentType }, length) {
  const framing = length === undefined ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  return `POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: ${contentType}\r\n${framing}\r\n\r\n`
}

export function chunkOf(piece) {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
}

export async function write(socket, piece, sent) {
  await new Promise((resolve, reject) => {
    socket.write(piece, (error) => (error ? reject(socket.errored ?? error) : resolve()))
  })
  sent.bytes += piece.length
}

/** The status of a complete answer; whatever else happens is an error. */
export async function readStatus(socket) {
  let received = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    received += chunk.toString('latin1')
    if (isComplete(received)) return Number(received.slice(9, 12))
  }
  throw new Error(received === '' ? 'closed without an answer' : 'closed within the answer')
}

function isComplete(received) {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, end))
  return length ? received.length - end - 4 >= Number(length[1]) : received.endsWith('\r\n0\r\n\r\n')
}
