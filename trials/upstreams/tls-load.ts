import { createServer, type ServerOptions } from 'node:https'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { listen } from '../../test/support/servers/servers.js'
import { type Answer, ask, digestOf, keptConnections, type NoAnswer, statusOf } from './asking.js'
import type { Authority } from './certificates.js'
import { echo } from './echo.js'
import { proxyTo, takeCodes } from './proxy.js'
import type { Trial } from './trial.js'
import { drippedBy } from './uploads.js'

const TIMES = 20

/** Sessions, large bodies and many requests over TLS. */
export async function overTls(
  trial: Trial,
  authority: Authority,
  ports: ReadonlyMap<string, number>,
): Promise<void> {
  for (const server of ['TLS 1.2', 'TLS 1.3']) {
    const target = `https://localhost:${ports.get(server)}`
    await sessionsAtNginx(trial, authority, target, server)
  }
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    await sessionsAtNode(trial, authority, { maxVersion })
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    await mutualAtNode(trial, authority, { maxVersion })
}

/** Each request has a connection of its own, and all but the first take up the session of the one before. */
async function sessionsAtNginx(trial: Trial, { ca }: Authority, target: string, name: string): Promise<void> {
  const proxy = await proxyTo(target, { connect: { ca } })
  let reused = 0
  for (let i = 0; i < TIMES; i += 1) {
    const answer = await fetch(`${proxy.url}/reused`)
    if ((await answer.text()) === 'r') reused += 1
  }
  trial.holds(`${name}: sessions are taken up`, reused === TIMES - 1, () => `${reused} of ${TIMES}`)
  trial.note(`${name}: nginx has resumed ${reused} of ${TIMES} connections`)
}

async function sessionsAtNode(trial: Trial, authority: Authority, options: ServerOptions): Promise<void> {
  const { key, cert } = authority.sign('node', 'DNS:localhost')
  let resumed = 0
  const server = createServer({ ...options, key, cert }, (req, res) => {
    if (req.url === '/last') res.setHeader('Connection', 'close')
    if (req.url === '/large') void drippedBy(50, 1_000_000)().pipe(res)
    else void echo(req, res)
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.isSessionReused()) resumed += 1
  })
  const { port } = await listen(server)
  const proxy = await proxyTo(`https://localhost:${port}`, { connect: { ca: authority.ca } })
  for (let i = 0; i < TIMES; i += 1) await ask(proxy.url, { path: '/last' })
  const name = `Node's server with ${options.maxVersion}`
  trial.holds(`${name}: sessions are taken up`, resumed === TIMES - 1, () => `${resumed} of ${TIMES}`)
  trial.note(`${name}: has resumed ${resumed} of ${TIMES} connections`)
  await large(trial, proxy, name)
  await many(trial, proxy, name)
}

const largeDigest = await digestOf(drippedBy(50, 1_000_000)())

function digestIn(answer: Answer | NoAnswer): string | undefined {
  return 'digest' in answer ? answer.digest : undefined
}

async function large(trial: Trial, proxy: Parameters<typeof takeCodes>[0], name: string): Promise<void> {
  const [down, slow] = [
    await ask(proxy.url, { path: '/large' }),
    await ask(proxy.url, { path: '/large', slowly: true }),
  ]
  trial.holds(`${name}: 50 MB down`, digestIn(down) === largeDigest, () => JSON.stringify(down))
  trial.holds(`${name}: 50 MB down, read slowly`, digestIn(slow) === largeDigest, () => JSON.stringify(slow))
  const up = await fetch(proxy.url, { method: 'POST', body: Buffer.alloc(50_000_000, 'a') })
  const { length } = (await up.json()) as { readonly length: number }
  trial.holds(`${name}: 50 MB up`, length === 50_000_000, () => String(length))
}

async function many(trial: Trial, proxy: Parameters<typeof takeCodes>[0], name: string): Promise<void> {
  takeCodes(proxy)
  const agent = keptConnections(16)
  const asked = Array.from({ length: 500 }, (_, i) =>
    ask(proxy.url, { agent, path: i % 5 === 0 ? '/last' : '/', method: 'POST', body: `${i}` }),
  )
  const lost = (await Promise.all(asked)).filter((answer) => statusOf(answer) !== 200)
  agent.destroy()
  trial.holds(`${name}: 500 × POST`, lost.length === 0, () => JSON.stringify([lost.length, takeCodes(proxy)]))
}

/** With TLS 1.3 a client is refused when its side of the handshake is over already. */
async function mutualAtNode(trial: Trial, authority: Authority, options: ServerOptions): Promise<void> {
  const { ca } = authority
  const own = authority.sign('node', 'DNS:localhost')
  const server = createServer(
    { ...options, ca, key: own.key, cert: own.cert, requestCert: true },
    (req, res) => {
      void echo(req, res)
    },
  )
  const { port } = await listen(server)
  const asked = async (connect: ConnectionOptions): Promise<string> => {
    const proxy = await proxyTo(`https://localhost:${port}`, { connect: { ca, ...connect } })
    const status = statusOf(await ask(proxy.url))
    const [error] = proxy.errors
    return `${status} ${error === undefined ? '' : `${error.code} (${String(error.cause)})`}`
  }
  const { key, cert } = authority.sign('client', 'DNS:client')
  const stranger = authority.selfSigned('stranger', 'DNS:stranger')
  const name = `mutual TLS at Node's server with ${options.maxVersion}`
  const [known, unknown, none] = [
    await asked({ key, cert }),
    await asked({ key: stranger.key, cert: stranger.cert }),
    await asked({}),
  ]
  trial.holds(name, known === '200 ', () => known)
  trial.holds(`${name}, by a stranger`, unknown.startsWith('502'), () => unknown)
  trial.holds(`${name}, without a certificate`, none.startsWith('502'), () => none)
  trial.note(`${name}: by a stranger ${unknown}, without a certificate ${none}`)
}
