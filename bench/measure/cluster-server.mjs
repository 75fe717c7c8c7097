// passthroughProxy in several processes that share a port: `node cluster-server.mjs <URL of the upstream> <workers>`.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from '../entries/sluiceway.mjs'
import { sum } from './statistics.mjs'
import { listen } from './usage.mjs'

const [upstream, count] = process.argv.slice(2)

async function tellCpu(workers) {
  const told = workers.map(async (worker) => {
    const answered = once(worker, 'message')
    worker.send('cpu')
    return (await answered)[0]
  })
  process.send(sum(await Promise.all(told)))
}

if (cluster.isPrimary) {
  const workers = Array.from({ length: Number(count) }, () => cluster.fork())
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'listening'))[0].port))
  process.on('message', () => void tellCpu(workers))
  process.on('disconnect', () => process.exit())
  process.send(ports[0])
} else {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send(user + system)
  })
  await listen(createServer(upstream, 128))
}
