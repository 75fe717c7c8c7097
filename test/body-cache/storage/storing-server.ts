// A server in its own process, so that its memory is that of bodyCache: `fork(storing-server.js, [directory])` with `--expose-gc`.
// It reports its port, and for every message the peak of its resident memory since the last one.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bodyCache } from 'sluiceway/body-cache'

const store = bodyCache({ directory: process.argv[2], limit: Infinity, memoryBudget: '16mb' })
let peak = 0
setInterval(() => {
  // What Node has read from sockets and not collected yet is up to 40 MB, with any program.
  gc!()
  peak = Math.max(peak, process.memoryUsage.rss())
}, 50).unref()

const server = createServer((req, res) => {
  store(req, res, () => {
    const hash = createHash('md5')
    req.on('data', (chunk: Buffer) => hash.update(chunk))
    req.on('end', () => {
      // Once more, now from the file.
      const again = createHash('md5')
      req.bodyCache
        .stream()
        .on('data', (chunk: Buffer) => again.update(chunk))
        .on('end', () => res.end(hash.digest('hex') === again.digest('hex') ? 'same' : 'different'))
    })
  })
}).listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port))

process.on('message', () => {
  process.send!(peak)
  peak = 0
})
