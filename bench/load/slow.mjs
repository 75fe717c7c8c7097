// A gigabyte in one request, between a side that is fast and one that is slow.
import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { GIGABYTE, SLOW } from '../upstream/answers.mjs'

const PIECE = Buffer.alloc(64 * 1024, 'g')

/** Reads it more slowly than the upstream sends it; the number of bytes that came. */
export async function download(port) {
  const request = http.get({ port, host: '127.0.0.1', path: '/gigabyte', agent: false })
  const [response] = await once(request, 'response')
  let [read, rested] = [0, 0]
  for await (const chunk of response) {
    read += chunk.length
    if (read - rested < SLOW.bytes) continue
    rested = read
    await new Promise((resolve) => setTimeout(resolve, SLOW.ms))
  }
  return read
}

/** Sends it faster than the upstream reads it; the number of bytes that the upstream got. */
export async function upload(port) {
  const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': GIGABYTE }
  const target = { port, host: '127.0.0.1', path: '/slow-upload', method: 'POST', agent: false }
  const request = http.request({ ...target, headers })
  const [[response]] = await Promise.all([
    once(request, 'response'),
    pipeline(Readable.from(pieces()), request),
  ])
  return Number(await text(response))
}

function* pieces() {
  for (let sent = 0; sent < GIGABYTE; sent += PIECE.length) yield PIECE
}
