import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import {
  attach,
  passthroughProxy,
  type PassthroughProxyOptions,
  type ProxiedRequest,
  type SluicewayError,
} from 'sluiceway'
import { RawClient } from '../../support/clients/raw-client.js'
import { type Express, expressVersions } from '../../support/express/express-versions.js'
import { Observer } from '../../support/observed.js'
import { scriptedUpstream, type ScriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { closeServers, listen } from '../../support/servers/servers.js'
import { until } from '../../support/time/until.js'
import { type ClosableDispatcher, undiciVersions, type Undici } from '../../support/undici/undici-versions.js'

/** The number that each request has in its head, in the asynchronous context of its handlers. */
export const numbers = new AsyncLocalStorage<string>()

export function numberOf(req: IncomingMessage): string {
  return String(req.headers['x-number'])
}

/** The events of every proxied request that gets an answer, in their order. */
export const WHOLE = ['start', 'end', 'asyncStart', 'asyncEnd']
export const FAILED = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']

export type Before = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

/** A proxy in an application of Express, with its upstream and with what it tells observers. */
export class ObservedProxy {
  readonly upstream: ScriptedUpstream
  readonly observer = new Observer()
  readonly told: [string, ProxiedRequest][] = this.observer.proxied()
  readonly errors: SluicewayError[] = []
  private readonly dispatchers: ClosableDispatcher[] = []
  private readonly express: Express
  private readonly load: (() => Promise<Undici>) | undefined

  constructor(upstream: ScriptedUpstream, express: Express, load?: () => Promise<Undici>) {
    this.upstream = upstream
    this.express = express
    this.load = load
  }

  /** Starts the application, and connects a client to it. */
  readonly start = async (
    options: PassthroughProxyOptions = {},
    { target = this.upstream.url, before }: { target?: string; before?: Before } = {},
  ): Promise<RawClient> => {
    const app = this.express().set('env', 'test')
    app.use((req, _res, next) => numbers.run(numberOf(req), next))
    if (before !== undefined) app.use(before)
    app.use('/api', passthroughProxy(target, { ...(await this.transportOptions()), ...options }))
    app.use((error: SluicewayError, _req: unknown, res: ServerResponse, _next: unknown) => {
      this.errors.push(error)
      if (!res.headersSent) res.writeHead(error.status).end()
    })
    const server = createServer(app as RequestListener)
    attach(server, app as RequestListener)
    return RawClient.connect((await listen(server)).port)
  }

  /** The events so far. */
  readonly events = (): string[] => this.told.map(([event]) => event)

  /** Waits for the end, and returns the one message that all events share. */
  readonly ended = async (): Promise<ProxiedRequest> => {
    await until(() => this.events().includes('asyncEnd'))
    const messages = new Set(this.told.map(([, message]) => message))
    expect(messages.size).to.equal(1)
    return this.told[0]![1]
  }

  async close(): Promise<void> {
    this.observer.end()
    await Promise.all(this.dispatchers.map((dispatcher) => dispatcher.destroy()))
    await closeServers()
  }

  private async transportOptions(): Promise<PassthroughProxyOptions> {
    if (this.load === undefined) return {}
    const { Agent } = await this.load()
    const dispatcher = new Agent()
    this.dispatchers.push(dispatcher)
    return { dispatcher }
  }
}

const transports: readonly [string, (() => Promise<Undici>) | undefined][] = [
  ["the proxy's own client", undefined],
  ...undiciVersions,
]

/** Describes the messages of a proxy over each transport on each version of Express. */
export function describeObserved(what: string, tests: (proxy: () => ObservedProxy) => void): void {
  for (const [transport, load] of transports) {
    for (const { name, express } of expressVersions) {
      describe(`${what}, over ${transport}, on ${name}`, () => {
        let proxy: ObservedProxy
        beforeEach(async () => {
          proxy = new ObservedProxy(await scriptedUpstream(), express, load)
        })
        afterEach(() => proxy.close())
        tests(() => proxy)
      })
    }
  }
}
