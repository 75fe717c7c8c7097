import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { timers } from '../../../node/timers.js'
import type { Delivery } from './delivery.js'
import { Upload, type UploadOwner } from './upload.js'

/**
 * A body in memory up to this size is sent in one piece; in a larger one, the time between pieces reveals a dead
 * server.
 */
const PIECE = 256 * 1024

/** Writes a request. Returns its upload if the body is not sent at once. */
export function writeRequest(delivery: Delivery, socket: Socket, owner: UploadOwner): Upload | undefined {
  const { text } = delivery.head
  const body = delivery.request.takeBody?.() ?? delivery.request.body
  if (body === null) return writeAlone(socket, text)
  // A small body is sent in one write with the head.
  socket.cork()
  socket.write(text, 'latin1')
  const source = asSource(body)
  if (source !== undefined) return startUpload(source, delivery, socket, owner)
  socket.write(body as string | Buffer)
  delivery.bytesWritten = Buffer.byteLength(body as string | Buffer)
  socket.uncork()
  return undefined
}

function writeAlone(socket: Socket, text: string): undefined {
  socket.write(text, 'latin1')
}

function startUpload(source: Readable, delivery: Delivery, socket: Socket, owner: UploadOwner): Upload {
  const { contentLength, trailers, taken, body } = delivery.request
  const length = contentLength ?? (Buffer.isBuffer(body) ? String(body.length) : undefined)
  const { isChunked } = delivery.head
  const upload = new Upload({ source, taken, isChunked, contentLength: length, trailers }, socket, owner)
  delivery.upload = upload
  upload.start()
  timers.nextTick(uncork, socket)
  return upload
}

/** Returns the stream of a body that is not sent at once. */
function asSource(body: Readable | Buffer | string): Readable | undefined {
  if (typeof body === 'string') return undefined
  if (!Buffer.isBuffer(body)) return body
  return body.length > PIECE ? Readable.from(pieces(body), { objectMode: false }) : undefined
}

function* pieces(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE)
}

function uncork(socket: Socket): void {
  socket.uncork()
}
