// A server in its own process, whose memory is that of the responses alone. Its parent asks for the number by a message.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import compression from 'compression'
import express, { type Response } from 'express'
import { autoFlush, pipeChild } from 'sluiceway'

const CHUNK = 64 * 1024

const app = express()
app.use(autoFlush({ heartbeatMs: 5 }), compression())

/** Writes `bytes` as fast as the client allows, respecting the result of `write`. */
app.get('/write/:bytes', (req, res) => {
  res.type('text/event-stream')
  let left = Number(req.params.bytes)
  const write = (): void => {
    while (left > 0) {
      left -= CHUNK
      if (!res.write(randomBytes(CHUNK))) return
    }
    res.end()
  }
  res.on('drain', write)
  write()
})

app.get('/pipe/:bytes', (req, res) => {
  let left = Number(req.params.bytes)
  const source = new Readable({
    read() {
      left -= CHUNK
      this.push(left < 0 ? null : randomBytes(CHUNK))
    },
  })
  source.pipe(res.type('text/plain'))
})

app.get('/child/:bytes', (req, res: Response, next) => {
  const child = spawn('head', ['-c', req.params.bytes, '/dev/zero'], { detached: true })
  pipeChild(res, child).catch(next)
})

const server = app.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
// Garbage that is not yet collected does not count: V8 lets up to 64 MB of buffers pile up first.
process.on('message', () => {
  globalThis.gc?.()
  process.send?.(process.memoryUsage.rss())
})
process.on('disconnect', () => process.exit())
