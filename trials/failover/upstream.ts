// An upstream in a process of its own: `upstream.js PORT FILE`. Each request that reaches it is a line of FILE at once,
// which a SIGKILL does not take back. SIGTERM ends it in an orderly way: what it has is answered first.
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'

const [, , port, file = ''] = process.argv
const record = openSync(file, 'a')

const server = createServer((req, res) => {
  writeSync(record, `${req.url?.slice(1)}\n`)
  res.on('error', () => {})
  buffer(req).then(
    (body) => setTimeout(() => res.end(`${body.length}`), 5),
    () => {},
  )
})
server.listen(Number(port), '127.0.0.1', () => process.send?.('listening'))

process.on('SIGTERM', () => {
  server.close(() => process.exit())
  // What is kept alive without a request would keep it open.
  server.closeIdleConnections()
})
process.on('disconnect', () => process.exit())
