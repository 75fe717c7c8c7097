// `npm run failover`: three upstreams in processes of their own, of which one after the other dies under load, by SIGKILL or
// in an orderly way, and comes back. Prints what became of the requests, and fails if one was lost that no upstream can have
// received, or if one with a body reached two of them.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, createServer, request } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import express, { type NextFunction, type Request, type Response } from 'express'
import { bodyCache, passthroughProxy, type SluicewayError } from 'sluiceway'
import { emptyDirectory, removeDirectories } from '../../test/support/process/temporary-files.js'

const SECONDS = Number(process.env['SLUICEWAY_FAILOVER_SECONDS'] ?? 30)
const CLIENTS = Number(process.env['SLUICEWAY_FAILOVER_CLIENTS'] ?? 50)
const directory = emptyDirectory()
const program = new URL('upstream.js', import.meta.url)

/** The bodies of the requests, in turn: none, small, and more than any buffer holds. */
const bodies = [undefined, 'small', 'large; '.repeat(60_000)] as const

class Upstream {
  readonly file: string
  readonly url: string
  private readonly port: number
  private child: ChildProcess | undefined

  constructor(port: number) {
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    this.file = join(directory, String(port))
  }

  async start(): Promise<void> {
    this.child = fork(program, [String(this.port), this.file])
    await once(this.child, 'message')
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    const { child } = this
    if (child === undefined) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  /** The numbers of the requests that reached it. */
  get received(): string[] {
    return readFileSync(this.file, 'utf8').split('\n').slice(0, -1)
  }
}

interface Sent {
  readonly number: string
  readonly hasBody: boolean
  outcome: string
}

/** The errors of requests, by their number, and how the last upstream to die did. */
const errors = new Map<string, { readonly code: string; readonly death: string }>()

let lastDeath = 'none'

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds))
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The proxy under test: each request begins at another upstream, and goes on to the next one. */
async function startProxy(upstreams: readonly Upstream[], isCached: boolean): Promise<number> {
  const app = express()
  if (isCached) app.use(bodyCache())
  let turn = 0
  const first = new WeakMap<object, number>()
  app.use(
    passthroughProxy((req, failed) => {
      if (failed === undefined) first.set(req, (turn += 1))
      return upstreams[((first.get(req) ?? 0) + (failed?.attempt ?? 0)) % upstreams.length]?.url
    }),
  )
  app.use((error: SluicewayError, req: Request, res: Response, _next: NextFunction) => {
    errors.set(req.url.slice(1), { code: error.code, death: lastDeath })
    if (res.headersSent) res.destroy()
    else res.sendStatus(error.status)
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const agent = new Agent({ keepAlive: true })

function ask(port: number, number: string, body: string | undefined): Promise<string> {
  return new Promise((resolve) => {
    const asking = request({ port, agent, path: `/${number}`, method: body === undefined ? 'GET' : 'POST' })
    asking.on('error', (error: NodeJS.ErrnoException) => resolve(`client: ${error.code}`))
    asking.on('response', (response) => {
      const isRight = (length: string): boolean =>
        response.statusCode === 200 && length === String(body?.length ?? 0)
      text(response).then(
        (length) => resolve(isRight(length) ? 'right' : `${response.statusCode}`),
        () => resolve('cut'),
      )
    })
    asking.end(body)
  })
}

async function askOn(port: number, name: string, sent: Sent[], isOver: () => boolean): Promise<void> {
  for (let n = 0; !isOver(); n += 1) {
    const body = bodies[n % bodies.length]
    const each: Sent = { number: `${name}-${n}`, hasBody: body !== undefined, outcome: '' }
    sent.push(each)
    each.outcome = await ask(port, each.number, body)
  }
}

/** One after the other dies, by turns of both kinds, and is back after 300 ms. */
async function killInTurn(upstreams: readonly Upstream[], isOver: () => boolean): Promise<number> {
  let deaths = 0
  for (; !isOver(); deaths += 1) {
    const upstream = upstreams[deaths % upstreams.length] as Upstream
    await pause(300)
    lastDeath = deaths % 2 === 0 ? 'SIGKILL' : 'SIGTERM'
    await upstream.stop(lastDeath as NodeJS.Signals)
    await pause(300)
    await upstream.start()
  }
  return deaths
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

async function trial(isCached: boolean): Promise<boolean> {
  const upstreams = await Promise.all([1, 2, 3].map(async () => new Upstream(await freePort())))
  await Promise.all(upstreams.map((upstream) => upstream.start()))
  const port = await startProxy(upstreams, isCached)
  const sent: Sent[] = []
  const end = performance.now() + SECONDS * 1000
  const isOver = (): boolean => performance.now() > end
  const asking = Array.from({ length: CLIENTS }, (_, at) => askOn(port, `${isCached}-${at}`, sent, isOver))
  const deaths = await killInTurn(upstreams, isOver)
  await Promise.all(asking)
  const received = countBy(upstreams.flatMap((upstream) => upstream.received))
  await Promise.all(upstreams.map((upstream) => upstream.stop('SIGKILL')))
  return report({ what: isCached ? 'behind bodyCache' : 'bare', deaths, sent, received })
}

interface Result {
  readonly what: string
  readonly deaths: number
  readonly sent: readonly Sent[]
  readonly received: Readonly<Record<string, number>>
}

function causeOf({ number, outcome }: Sent): string {
  const { code, death } = errors.get(number) ?? {}
  return `${outcome}, ${code}, after ${death}`
}

function report({ what, deaths, sent, received }: Result): boolean {
  const lost = sent.filter(({ outcome }) => outcome !== 'right')
  const unheard = lost.filter(({ number }) => errors.get(number)?.code !== 'ERR_SLUICEWAY_UPSTREAM_RESET')
  const twice = sent.filter(({ number, hasBody }) => hasBody && (received[number] ?? 0) > 1)
  console.log('%s: %d requests, %d deaths of one of three upstreams', what, sent.length, deaths)
  console.log(
    '  lost: %d, of which an upstream has recorded %d',
    lost.length,
    lost.filter(({ number }) => number in received).length,
  )
  console.log('  by cause: %o', countBy(lost.map(causeOf)))
  console.log(
    '  lost though no upstream can have received them: %d; with a body, received twice: %d',
    unheard.length,
    twice.length,
  )
  return unheard.length === 0 && twice.length === 0
}

const results = [await trial(false), await trial(true)]
removeDirectories()
agent.destroy()
process.exit(results.every(Boolean) ? 0 : 1)
