// Compares variants of one Express route in paired runs: a server process of its own, its CPU time per request, the
// variants in turn within each round, so that what else runs on the machine hits all of them alike.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import os from 'node:os'
import express from 'express'

const CONNECTIONS = 8

/**
 * Runs `cases` when `file` is the program; in the forked server it serves them instead.
 * A case has a `title`, the `variants` (name to list of handlers; the first is the base), the `request` as bytes and
 * the `answer` that a correct server ends with.
 */
export async function comparePaired(file, cases, { requests = 500, rounds = 80 } = {}) {
  if (process.argv[2] === 'server') {
    serve(cases)
    return
  }
  console.log(`Node ${process.version}, ${os.cpus()[0].model}, ${os.cpus().length} cores`)
  const server = fork(file, ['server'], { env: { ...process.env, NODE_ENV: 'production' } })
  const [port] = await once(server, 'message')
  for (const [index, one] of cases.entries()) {
    await measureCase(server, port, index, one, { requests: one.requests ?? requests, rounds })
  }
  server.kill()
}

function serve(cases) {
  const app = express()
  for (const [index, { variants }] of cases.entries()) {
    for (const [number, handlers] of Object.values(variants).entries()) {
      app.use(`/${index}/${number}`, express().use(...handlers))
    }
  }
  const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('message', () => process.send(process.cpuUsage()))
}

async function measureCase(server, port, index, { title, variants, request, answer }, { requests, rounds }) {
  const names = Object.keys(variants)
  const runs = names.map(() => [])
  for (let round = -5; round < rounds; round++) {
    for (let step = 0; step < names.length; step++) {
      const number = (step + Math.abs(round)) % names.length
      const before = await cpu(server)
      await load(port, request(`/${index}/${number}`), answer, requests)
      if (round >= 0) runs[number].push(((await cpu(server)) - before) / requests)
    }
  }
  console.log(
    `\n${title} (median of ${rounds} paired runs of ${requests} requests, ${CONNECTIONS} connections)`,
  )
  for (const [number, name] of names.entries()) {
    const ratios = runs[number].map((us, round) => us / runs[0][round])
    const [us, ratio] = [median(runs[number]), median(ratios)]
    const least = lowest(runs[number]) / lowest(runs[0])
    console.log(
      `  ${name.padEnd(28)} ${us.toFixed(1)} us, ${ratio.toFixed(3)} of the first (${least.toFixed(3)} in the quietest tenth)`,
    )
  }
}

async function cpu(server) {
  const answered = once(server, 'message')
  server.send('cpu')
  const [{ user, system }] = await answered
  return user + system
}

/** Sends requests one after the other on each connection, and throws where an answer is not the expected one. */
async function load(port, request, answer, requests) {
  let left = requests
  const connection = async () => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    while (left-- > 0) {
      socket.write(request)
      let received = ''
      while (!received.endsWith(answer)) {
        const [chunk] = await once(socket, 'data')
        received += chunk
        if (!received.startsWith('HTTP/1.1 200')) throw new Error(`wrong answer: ${received}`)
      }
    }
    socket.destroy()
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, connection))
}

export function post(path, type, body) {
  return Buffer.concat([
    Buffer.from(
      `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`,
    ),
    body,
  ])
}

/** What else runs on the machine only ever adds to a run, so the lowest runs tell most about the program. */
function lowest(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)]
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
