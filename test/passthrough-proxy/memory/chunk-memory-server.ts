import { createServer } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { maxBytes, passthroughProxy } from 'sluiceway'
import { certificate, key } from '../../support/servers/tls-certificate.js'

/*
 * A server in its own process, with the ways of an upload whose chunks are used once. It answers each message with the
 * most bytes that Buffers have held since the one before, and whether all of the body came.
 */

// Tests in a simulated browser remove it; the memory was given back with it on Node 20.
Reflect.deleteProperty(globalThis, 'MessageChannel')

let before = 0
let peak = 0
function look(): void {
  peak = Math.max(peak, process.memoryUsage().arrayBuffers)
  setImmediate(look).unref()
}

process.on('message', () => {
  process.send?.(peak - before)
  before = process.memoryUsage().arrayBuffers
  peak = before
})
// The test has its answer, or has ended.
process.on('disconnect', () => process.exit())

const [target = '', secureTarget = ''] = process.argv.slice(2)
const proxy = passthroughProxy(target)
const app = express()
  .use('/limited', maxBytes('1gb'))
  .use('/refused', maxBytes({ limit: 1000, lingerBytes: '1gb', lingerMs: 60_000 }))
  .use('/failed', passthroughProxy('http://127.0.0.1:1'))
  .use('/secure', passthroughProxy(secureTarget, { connect: { ca: certificate } }))
  .use(proxy)

const secure = https.createServer({ key, cert: certificate }, app).listen(0, '127.0.0.1')
const plain = createServer(app).listen(0, '127.0.0.1', () => {
  process.send?.([plain, secure].map((server) => (server.address() as AddressInfo).port))
})
look()
