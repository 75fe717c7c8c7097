// Clients whose upload is refused: raw sockets, as those of bench/delivery.mjs.
import { chunkOf, overSocket, readStatus, requestHead, write } from '../delivery/raw-clients.mjs'
import { PIECE, UPLOAD } from './settings.mjs'

/** 10 GB in all take their time. */
const PATIENCE_MS = 60_000
const target = { contentType: 'application/json' }

/** The pieces that a client sends, head included; all clients share them. */
export function piecesOf({ chunked, length = UPLOAD }) {
  const body = Buffer.alloc(length, 'x')
  body[0] = body[length - 1] = 0x22
  const pieces = [requestHead(target, chunked ? undefined : length)]
  for (let at = 0; at < length; at += PIECE) {
    const piece = body.subarray(at, at + PIECE)
    pieces.push(chunked ? chunkOf(piece) : piece)
  }
  return chunked ? [...pieces, '0\r\n\r\n'] : pieces
}

/** Reads while it writes, and leaves at the answer, as curl and `fetch` do; `{ outcome, ms, written }`. */
export function readWhileWriting(port, pieces, patience = PATIENCE_MS) {
  return overSocket({ port, patience }, (socket, sent) => {
    const answered = readStatus(socket)
    // Not awaited: a write may hang on a server that has answered and reads no more.
    void writeAll(socket, pieces, sent).catch(() => {})
    return answered
  })
}

/** Writes all of it before it reads a byte of the answer, as Python's requests does. */
export function writeFirst(port, pieces, patience = PATIENCE_MS) {
  return overSocket({ port, patience }, async (socket, sent) => {
    socket.pause()
    await writeAll(socket, pieces, sent)
    return readStatus(socket)
  })
}

async function writeAll(socket, pieces, sent) {
  for (const piece of pieces) {
    if (socket.destroyed) return
    await write(socket, piece, sent)
  }
}
