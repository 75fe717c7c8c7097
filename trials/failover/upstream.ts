// An upstream in a process of its own: `upstream.js PORT FILE`. Each request that reaches it is a line of FILE at once,
// which a SIGKILL does not take back. SIGTERM ends it in an orderly way: what it has is answered first.
import { openSync, writeSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

const [, , port, file = ''] = process.argv
const record = openSync(file, 'a')

const server = createServer((req, res) => {
  writeSync(record, `${req.url?.slice(1)}\n`)
  res.on('error', () => {})
  buffer(req).then(
    (body) => setTimeout(answer, 5, res, body.length),
    () => {},
  )
})

let isEnding = false

function answer(res: ServerResponse, length: number): void {
  if (isEnding) res.setHeader('Connection', 'close')
  res.end(String(length))
}

server.listen(Number(port), '127.0.0.1', () => process.send?.('listening'))

process.on('SIGTERM', () => {
  isEnding = true
  // It also ends the connections that are idle.
  server.close(() => process.exit())
})
process.on('disconnect', () => process.exit())
