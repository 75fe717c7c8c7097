// Compares variants of one Express route: one process that serves all of them, and within each round a slice of each
// in turn, so that what else runs on the machine hits all alike. Ratios are taken within a round.
import { openRequests } from '../load/requests.mjs'
import { pinThisProcess } from './cores.mjs'
import { nodesOf } from './nodes.mjs'
import { ServerProcess } from './server-process.mjs'
import { inTurn, median, quantile } from './statistics.mjs'

/** Rounds that do not count: V8's compilers are at work. */
const WARM_UP = 10

/**
 * `module` (a URL) exports `cases(upstream)`. A case has a `title`, its `variants` (name to list of handlers; the first
 * is the base), an `amount` of units a slice, `open({ port, path })` that makes the session, and maybe `goals`. Gives the
 * cases, each with what it was on each Node; a case that fails there has its `failure`, and costs the others nothing.
 */
export async function comparePaired(module, options = {}) {
  const { rounds = 40, scale = 1, upstream, nodes = nodesOf() } = options
  pinThisProcess()
  const { cases } = await import(module)
  const results = cases(upstream).map(({ title, unit = 'request', amount, rounds: own = rounds }) => {
    return { title, unit, amount, rounds: Math.min(own, rounds), byNode: {} }
  })
  for (const node of nodes) {
    const server = await startPairedServer(module, upstream, { node: node.file })
    for (const [index, one] of cases(upstream).entries()) {
      const { rounds: count } = results[index]
      const compared = compareCase(server, index, one, { rounds: count, scale })
      results[index].byNode[node.major] = await compared.catch(({ message }) => ({ failure: message }))
      process.stdout.write(`${one.title}, Node ${node.major}: done\n`)
    }
    await server.stop()
    options.save?.({ cases: results })
  }
  return { cases: results }
}

export function startPairedServer(module, upstream = '', options) {
  return ServerProcess.start(new URL('paired-server.mjs', import.meta.url), [module, upstream], options)
}

/** Where the paired server mounts a variant. */
export function pathOf(index, number) {
  return `/${index}/${number}`
}

async function compareCase(server, index, { variants, amount, open, goals }, options) {
  const sides = await Promise.all(
    Object.keys(variants).map(async (name, number) => ({
      name,
      server,
      session: await open({ port: server.port, path: pathOf(index, number) }),
    })),
  )
  const rows = await compareInRounds(sides, { ...options, amount: Math.ceil(amount * options.scale) })
  return { rows, goals: goals?.(byName(rows)) ?? [] }
}

/**
 * Slices of `amount` units on each of `sides` (`{ name, server, session }`, the first of them the base), in turns within
 * each round. Closes the sessions, and gives a row of figures for each.
 */
export async function compareInRounds(sides, { amount, rounds, warmUp = WARM_UP }) {
  const timed = sides.map((side) => ({ ...side, cpu: [] }))
  for (let round = -warmUp; round < rounds; round++) {
    for (const variant of inTurn(timed, round + warmUp)) await measureVariant(variant, amount, round >= 0)
  }
  for (const { session } of timed) await session.close()
  return timed.map((variant) => figuresOf(variant, timed[0]))
}

async function measureVariant(variant, amount, counts) {
  const { server, session, name } = variant
  const [cpu, writes] = [await server.cpu(), await server.writes()]
  const { units, errors, bytes } = await session.run(amount)
  const spent = (await server.cpu()) - cpu
  if (errors > 0) throw new Error(`${name}: ${errors} wrong answers`)
  if (bytes !== undefined) variant.bytes = bytes / units
  if (writes !== undefined) variant.writes = ((await server.writes()) - writes) / units
  if (counts) variant.cpu.push(spent / units)
}

/** What else runs on the machine only ever adds to a slice, so the quietest tenth tells most about the program. */
function figuresOf({ name, cpu, bytes, writes }, base) {
  return {
    name,
    cpu: median(cpu),
    ratio: median(cpu.map((us, round) => us / base.cpu[round])),
    quietest: quantile(cpu, 0.1) / quantile(base.cpu, 0.1),
    ...(bytes === undefined ? {} : { bytes }),
    ...(writes === undefined ? {} : { writes }),
  }
}

function byName(rows) {
  return Object.fromEntries(rows.map((row) => [row.name, row]))
}

/** The goal that a variant costs at most `limit` of the base. */
export function ratioGoal(text, name, limit) {
  return (rows) => [{ text, limit, value: rows[name].ratio, quietest: rows[name].quietest }]
}

const CONNECTIONS = 8

/** Short heads, so that what a middleware adds is not small beside the parsing of the head. */
export function openPosts({ port, path, type, body, expected = Buffer.from('done') }) {
  const head = `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`
  return openRequests({
    port,
    connections: CONNECTIONS,
    request: Buffer.concat([Buffer.from(head), body]),
    expected,
  })
}

export function openGets({ port, path, expected = Buffer.from('done') }) {
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`)
  return openRequests({ port, connections: CONNECTIONS, request, expected })
}

export const answerDone = (_req, res) => res.end('done')
