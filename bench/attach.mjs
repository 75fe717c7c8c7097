import { own, proxies } from './attach/servers.mjs'
// What attach costs a server: its plain requests, and its WebSockets, beside the ways without it.
import { versionOf } from './entries/index.mjs'
import { openVisits } from './load/websockets.mjs'
import { pinThisProcess } from './measure/cores.mjs'
import { middleOf, nodesOf } from './measure/nodes.mjs'
import { compareInRounds, openGets } from './measure/paired.mjs'
import { ServerProcess } from './measure/server-process.mjs'

const CONNECTIONS = 8
const ROUNDS = 15
const visits = (messages) => (target) => openVisits({ ...target, connections: CONNECTIONS, messages })

const cases = [
  { title: 'a plain GET', servers: own, amount: 500, open: openGets },
  {
    title: 'a WebSocket: handshake, one message, end',
    unit: 'WebSocket',
    servers: own,
    amount: 100,
    open: visits(1),
  },
  {
    title: 'a WebSocket: handshake, 100 messages, end',
    unit: 'WebSocket',
    servers: own,
    amount: 16,
    open: visits(100),
  },
  {
    title: 'a proxied WebSocket: handshake, one message, end',
    unit: 'WebSocket',
    servers: proxies,
    amount: 50,
    open: visits(1),
  },
]

export async function run({ rounds = ROUNDS, scale = 1, nodes = nodesOf(), save = () => {} } = {}) {
  pinThisProcess()
  const node = middleOf(nodes)
  const upstream = await start('upstream/echo.mjs', [], { core: undefined })
  const result = { cases: [] }
  for (const one of cases) {
    const options = { rounds: Math.min(rounds, ROUNDS), scale, node, upstream: upstream.url }
    result.cases.push(await measured(one, options))
    process.stdout.write(`${one.title}: done\n`)
    save(result)
  }
  await upstream.stop()
  return result
}

async function measured(
  { title, unit = 'request', servers, amount, open },
  { rounds, scale, node, upstream },
) {
  const sides = []
  for (const name of Object.keys(servers).filter(isThere)) {
    const server = await start('attach/serve.mjs', [name, upstream], { node: node.file })
    sides.push({ name, server, session: open({ port: server.port, path: '/' }) })
  }
  const compared = compareInRounds(sides, { amount: Math.ceil(amount * scale), rounds })
  const told = await compared.then((rows) => ({ rows })).catch(({ message }) => ({ failure: message }))
  for (const { server } of sides) await server.stop()
  return { title, unit, amount, rounds, byNode: { [node.major]: told } }
}

/** Before `npm ci` in this folder it is not. */
function isThere(name) {
  return name !== 'express-ws' || versionOf(name) !== undefined
}

function start(file, args, options) {
  return ServerProcess.start(new URL(file, import.meta.url), args, options)
}
