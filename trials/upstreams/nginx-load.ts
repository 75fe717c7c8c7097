import { once } from 'node:events'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { inParallel } from '../hostile/in-parallel.js'
import { ask, keptConnections, statusOf } from './asking.js'
import { type NginxServer, startNginx } from './nginx-server.js'
import { type Proxy, proxyTo, takeCodes } from './proxy.js'
import { spacedRequests } from './spaced.js'
import type { Trial } from './trial.js'

const REQUESTS = 2000
const CLIENTS = 8
const RELOADS = 10

/** An nginx that ends connections: after so many requests, at a reload, after a time. */
export async function nginxUnderLoad(trial: Trial): Promise<void> {
  const server = await startNginx(
    'keepalive_requests 5; keepalive_timeout 1s; location / { return 200 "$connection $connection_requests"; }',
  )
  trial.server = server.version
  const proxy = await proxyTo(server.url)
  for (const method of ['GET', 'POST']) await manyRequests(trial, proxy, method)
  await reloads(trial, server, proxy)
  await restart(trial, server, proxy)
  await spacedRequests(trial, proxy, 1000)
}

/** keepalive_requests 5: each fifth answer says that it is the last. */
async function manyRequests(trial: Trial, proxy: Proxy, method: string): Promise<void> {
  const agent = keptConnections(CLIENTS)
  const statuses = new Map<number, number>()
  await inParallel(CLIENTS, Array.from({ length: REQUESTS }), async () => {
    const body = method === 'POST' ? 'a=b' : ''
    count(statuses, statusOf(await ask(proxy.url, { method, agent, body })))
  })
  agent.destroy()
  const codes = takeCodes(proxy)
  trial.holds(`${REQUESTS} × ${method} with keepalive_requests 5`, statuses.get(200) === REQUESTS, () =>
    JSON.stringify([...statuses, codes]),
  )
}

/** A reload ends idle connections at any time: a POST may be lost with one (RFC 9110 §9.2.2), a GET is sent again. */
async function reloads(trial: Trial, server: NginxServer, proxy: Proxy): Promise<void> {
  const state = { isOver: false }
  const loads = ['GET', 'PUT', 'POST'].map((method) => load(state, proxy, method))
  const oracle = load(state, { url: server.url }, 'POST')
  for (let i = 0; i < RELOADS; i += 1) {
    await sleep(300)
    server.child.kill('SIGHUP')
  }
  await sleep(300)
  state.isOver = true
  const [gets, puts, posts] = await Promise.all(loads)
  const direct = await oracle
  trial.holds('GET during reloads', lost(gets!) === 0, () => JSON.stringify([...gets!]))
  trial.holds('PUT without a body during reloads', lost(puts!) === 0, () => JSON.stringify([...puts!]))
  trial.note(
    `${RELOADS} reloads: lost of GET ${of(gets!)}, PUT ${of(puts!)}, POST ${of(posts!)}; POST directly ${of(direct)}`,
  )
  trial.note(`errors: ${JSON.stringify(tally(takeCodes(proxy)))}`)
}

/** The server ends, and comes again at the same place: what fails meanwhile fails at once, and nothing fails later. */
async function restart(trial: Trial, server: NginxServer, proxy: Proxy): Promise<void> {
  const state = { isOver: false }
  const loads = [load(state, proxy, 'GET'), load(state, proxy, 'GET')]
  await sleep(200)
  server.child.kill('SIGQUIT')
  await once(server.child, 'exit')
  const downAt = performance.now()
  await sleep(200)
  state.isOver = true
  const statuses = await Promise.all(loads)
  const others = statuses
    .flatMap((each) => [...each.keys()])
    .filter((status) => status !== 200 && status !== 502)
  trial.holds('GETs while the server ends', others.length === 0, () => others.join())
  takeCodes(proxy)
  await server.restart()
  const after = await Promise.all(Array.from({ length: 50 }, async () => statusOf(await ask(proxy.url))))
  trial.holds(
    'GETs behind a restart',
    after.every((status) => status === 200),
    () => after.join(),
  )
  trial.note(`down for ${Math.round(performance.now() - downAt)} ms`)
}

async function load(
  state: { readonly isOver: boolean },
  { url }: { readonly url: string },
  method: string,
): Promise<Map<number, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 })
  const statuses = new Map<number, number>()
  const body = method === 'POST' ? 'a=b' : ''
  const client = async (): Promise<void> => {
    while (!state.isOver) count(statuses, statusOf(await ask(url, { method, agent, body })))
  }
  await Promise.all([client(), client()])
  agent.destroy()
  return statuses
}

function count(statuses: Map<number, number>, status: number): void {
  statuses.set(status, (statuses.get(status) ?? 0) + 1)
}

function lost(statuses: ReadonlyMap<number, number>): number {
  return [...statuses].reduce((sum, [status, times]) => (status === 200 ? sum : sum + times), 0)
}

function of(statuses: ReadonlyMap<number, number>): string {
  return `${lost(statuses)} of ${[...statuses.values()].reduce((sum, times) => sum + times, 0)}`
}

function tally(codes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1
  return counts
}
