import { once } from 'node:events'
import { Agent, createServer, get, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { passthroughProxy } from 'sluiceway'

// A program, `dying-young.js <connections>` with `--expose-gc`: a proxy, its upstream and its client, which prints the bytes of garbage
// that minor collections leave of 4000 requests. Without Express: on Node 20 it leaves as much itself.

const collect = globalThis.gc as (options?: { type: 'minor' }) => void

async function serve(handler: RequestListener): Promise<number> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Collects what is young twice: what is left is moved into the old generation. */
function collectYoung(): void {
  collect({ type: 'minor' })
  collect({ type: 'minor' })
}

async function ask(port: number, agent: Agent): Promise<void> {
  const [response] = await once(get({ port, agent }), 'response')
  await text(response)
}

async function inBatches(port: number, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  for (let batch = 0; batch < count; batch++) {
    await Promise.all(Array.from({ length: 200 }, () => ask(port, agent)))
    collectYoung()
  }
  agent.destroy()
}

const upstream = await serve((_req, res) => void res.end('answer'))
const proxy = passthroughProxy(`http://127.0.0.1:${upstream}`, { maxConnections: Number(process.argv[2]) })
const port = await serve((req, res) => proxy(req, res, () => res.destroy()))
await inBatches(port, 5)
collect()
await inBatches(port, 20)
const { heapUsed } = process.memoryUsage()
collect()
console.log(heapUsed - process.memoryUsage().heapUsed)
process.exit()
