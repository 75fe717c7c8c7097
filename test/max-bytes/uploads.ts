import type net from 'node:net'
import express from 'express'
import { maxBytes } from 'sluiceway/max-bytes'

/** The length of every upload in this file. */
export const LENGTH: number = 10 * 1024 * 1024
export const body: Buffer = Buffer.alloc(LENGTH, 'a')

export const WITH_LENGTH = `Content-Length: ${LENGTH}`
export const IN_CHUNKS = 'Transfer-Encoding: chunked'

/** Accepts uploads of up to 100 KiB. GET / shows `page`, if there is one. */
export function limitedApp(page?: string): express.Express {
  const app = express().set('env', 'test')
  if (page !== undefined) app.get('/', (_req, res) => void res.type('html').send(page))
  return app
    .use(maxBytes('100kb'), express.raw({ type: () => true, limit: '1gb' }))
    .use((_req, res) => void res.end('let through'))
}

/** Writes a whole upload before it reads anything, and returns the status line that it then finds. */
export function writeThenRead(socket: net.Socket, framing: string = WITH_LENGTH): Promise<string> {
  socket.pause()
  return write(socket, framing, () => socket.resume())
}

/** Writes an upload while it reads, and leaves with the status line that it finds. */
export function writeAndRead(socket: net.Socket, framing: string = WITH_LENGTH): Promise<string> {
  socket.once('data', () => socket.end())
  return write(socket, framing)
}

/** Resolves to the status line, '' without one, when the connection has closed. */
function write(socket: net.Socket, framing: string, written?: () => void): Promise<string> {
  return new Promise((resolve) => {
    let received = ''
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(received.split('\r\n')[0] ?? ''))
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
    socket.write(framing === IN_CHUNKS ? oneChunk : body, written)
  })
}

/** As one chunk of a body that never ends. */
const oneChunk = Buffer.concat([Buffer.from(`${LENGTH.toString(16)}\r\n`), body])
