// What a body of 100 MB costs that is kept in a file to be read twice: with bodyCache, with multer, and with a file of
// one's own; beside reading it once, into memory.
import { openRequests } from './load/requests.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { compareInRounds } from './measure/paired.mjs'
import { ServerProcess } from './measure/server-process.mjs'
import { LENGTH, contentType, upload, variants } from './spilled/settings.mjs'

const ROUNDS = 5
const WARM_UP = 1
const SMALL = 500

export async function run({ rounds = ROUNDS, scale = 1, nodes = nodesOf() } = {}) {
  pinThisProcess()
  const node = middleOf(nodes)
  const count = Math.min(rounds, ROUNDS)
  const sides = []
  for (const name of Object.keys(variants)) sides.push(await start(name, scale, node))
  const rows = await compareInRounds(sides, { amount: 1, rounds: count, warmUp: WARM_UP })
  for (const [index, { server, before }] of sides.entries()) {
    rows[index].peak = ((await server.peak()) - before) / 1e6
    await server.stop()
  }
  const title = 'an upload of 100 MB, read twice'
  return { cases: [{ title, unit: 'request', amount: 1, rounds: count, byNode: { [node.major]: { rows } } }] }
}

/** In a process of its own, which has served small uploads before. */
async function start(name, scale, node) {
  const server = await ServerProcess.start(new URL('spilled/serve.mjs', import.meta.url), [name], {
    node: node.file,
  })
  const small = open(server, name, 1000)
  await small.run(Math.ceil(SMALL * scale))
  await small.close()
  server.resetPeak()
  return { name, server, before: await server.peak(), session: open(server, name, LENGTH) }
}

/** Uploads of so many bytes, one after the other; the answer names how many bytes came at each reading. */
function open({ port }, name, length) {
  const { isForm = false, readings } = variants[name]
  const body = upload(length, isForm)
  const lines = [
    'POST / HTTP/1.1',
    'Host: bench',
    `Content-Type: ${contentType(isForm)}`,
    `Content-Length: ${body.length}`,
  ]
  return openRequests({
    port,
    connections: 1,
    request: Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]),
    expected: Buffer.from(Array.from({ length: readings }, () => length).join(' ')),
  })
}
