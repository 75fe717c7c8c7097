import { createServer, type IncomingMessage } from 'node:http'
import { attach, passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import type { Handler, Host } from '../../support/express/hosts.js'
import { unmarked } from '../../support/servers/proxied.js'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { listen } from '../../support/servers/servers.js'

export type Change = (headers: Record<string, unknown>, req: IncomingMessage) => void

interface Case extends PassthroughProxyOptions {
  /** Lines of the client, behind its Host. */
  readonly sent: readonly string[]
  readonly change: Change
  readonly joinDuplicateHeaders?: boolean
  readonly start?: string
  readonly body?: string
}

interface Seen {
  /** The lines that the upstream got, without those that the proxy says itself. */
  readonly lines: readonly string[]
  readonly head: string
  readonly upstream: RawClient
}

/** A proxy behind a middleware that changes `req.headers`. */
export class ChangingApp {
  private readonly mount: Host['mount']

  constructor(mount: Host['mount']) {
    this.mount = mount
  }

  /** Starts the proxy, and sends it a request. */
  private async begin(
    one: Case,
  ): Promise<{ client: RawClient; upstream: Promise<RawClient>; errors: SluicewayError[] }> {
    const {
      sent,
      change,
      joinDuplicateHeaders = false,
      start = 'GET / HTTP/1.1',
      body = '',
      ...options
    } = one
    const upstream = await scriptedUpstream()
    const errors: SluicewayError[] = []
    const changing: Handler = (req, _res, next) => {
      change(req.headers, req)
      next()
    }
    const proxy = passthroughProxy(upstream.url, { forwarded: false, ...options })
    const watched: Handler = (req, res, next) => {
      proxy(req, res, (error) => {
        errors.push(error as SluicewayError)
        next(error)
      })
    }
    const listener = this.mount(changing, watched)
    const server = createServer({ joinDuplicateHeaders }, listener)
    attach(server, listener)
    const client = await RawClient.connect((await listen(server)).port)
    client.write(`${[start, 'Host: test', ...sent].join('\r\n')}\r\n\r\n${body}`)
    return { client, upstream: upstream.connection(), errors }
  }

  /** What the upstream gets of a request whose headers the application has changed. */
  async seen(one: Case): Promise<Seen> {
    const { upstream } = await this.begin(one)
    const connection = await upstream
    const head = await connection.untilText('\r\n\r\n')
    const lines = unmarked(head.trimEnd().split('\r\n').slice(1))
    return { lines: lines.filter((line) => !/^(?:host|connection): /.test(line)), head, upstream: connection }
  }

  /** The answer to a request that is refused. */
  async refused(one: Case): Promise<{ response: RawResponse; error: SluicewayError }> {
    const { client, upstream, errors } = await this.begin(one)
    upstream.catch(() => {})
    return { response: await client.response(), error: errors[0]! }
  }
}
