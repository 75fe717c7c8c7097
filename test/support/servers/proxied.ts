import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import { RawClient, type RawResponse } from '../clients/raw-client.js'
import { expressVersions } from '../express/express-versions.js'
import { answer, scriptedUpstream, type ScriptedUpstream } from './scripted-upstream.js'
import { serve, type TestServer } from './servers.js'

type Express = ReturnType<(typeof expressVersions)[number]['express']>

/** How a proxy is mounted in an app. */
export interface ProxiedOptions extends PassthroughProxyOptions {
  /** Which Express. @default Express 5 */
  readonly express?: (typeof expressVersions)[number]['express']
  readonly mount?: string
  /** The path after the upstream's origin. */
  readonly prefix?: string
  /** The middlewares in front of the proxy. */
  readonly prepare?: (app: Express) => void
  /** The target, if it is not the plain scripted upstream. */
  readonly target?: (upstream: ScriptedUpstream) => Parameters<typeof passthroughProxy>[0]
}

/** A client, a proxy and an upstream, of which both ends are read and written as bytes. */
export interface Proxied {
  readonly upstream: ScriptedUpstream
  readonly client: RawClient
  readonly server: TestServer
  /** The errors that `next` was given. */
  readonly errors: SluicewayError[]
  /** Sends a request unchanged and returns the head that the upstream saw. The upstream answers with `raw`. */
  readonly exchange: (sent: string, raw?: string | Buffer) => Promise<Exchanged>
}

/** One request and its answer, as each end saw them. */
export interface Exchanged {
  readonly seen: string
  readonly connection: RawClient
  readonly response: RawResponse
}

/** Starts an upstream, an app with one proxy to it, and a client. `closeServers` ends them. */
export async function proxied(options: ProxiedOptions = {}): Promise<Proxied> {
  const { express = expressVersions[0].express, mount = '/', prefix = '', prepare, target, ...own } = options
  const upstream = await scriptedUpstream()
  const errors: SluicewayError[] = []
  const app = express()
  // In this mode Express does not print errors to stderr.
  app.set('env', 'test')
  prepare?.(app)
  app.use(mount, passthroughProxy(target?.(upstream) ?? `${upstream.url}${prefix}`, own))
  app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error)
    next(error)
  })
  const server = await serve(app)
  const client = await RawClient.connect(server.port)
  let connection: RawClient | undefined
  return {
    upstream,
    client,
    server,
    errors,
    async exchange(sent, raw: string | Buffer = answer()) {
      client.write(sent)
      connection ??= await upstream.connection()
      const seen = await connection.untilText('\r\n\r\n')
      connection.write(raw)
      const response = await client.response({ head: sent.startsWith('HEAD ') })
      return { seen, connection, response }
    },
  }
}

/** The header lines of a request that the upstream saw, without the mark that the proxy adds (`Sluiceway-Loop`). */
export function unmarked(lines: readonly string[]): string[] {
  return lines.filter((line) => !/^sluiceway-loop: [\w-]{12}$/i.test(line))
}

/** A request without a body, as text for the wire. */
export function request(method: string, path: string, ...lines: readonly string[]): string {
  return `${method} ${path} HTTP/1.1\r\n${['Host: test', ...lines].join('\r\n')}\r\n\r\n`
}
