// Proxies whose errors a test keeps, and a client of theirs.
import type { Express } from 'express'
import {
  passthroughProxy,
  type PassthroughProxy,
  type PassthroughProxyOptions,
  type SluicewayError,
} from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { scriptedUpstream, type ScriptedUpstream } from '../support/servers/scripted-upstream.js'
import { closeServers, serve } from '../support/servers/servers.js'

/** A client of an app whose error handler keeps what it is given in `errors`. */
export async function startWatched(
  app: Express,
  target: Parameters<typeof passthroughProxy>[0],
  options?: PassthroughProxyOptions,
  errors: SluicewayError[] = [],
): Promise<{ client: RawClient; errors: SluicewayError[]; port: number; proxy: PassthroughProxy }> {
  const proxy = passthroughProxy(target, options)
  app.use(proxy)
  app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error)
    next(error)
  })
  const { port } = await serve(app)
  return { client: await RawClient.connect(port), errors, port, proxy }
}

/** What each test of a suite gets anew. */
export interface Given {
  readonly upstream: ScriptedUpstream
  readonly errors: SluicewayError[]
  /** Connects a client to a proxy, whose target is `upstream` unless another is given. */
  readonly client: (
    options: PassthroughProxyOptions,
    target?: Parameters<typeof passthroughProxy>[0],
  ) => Promise<RawClient>
}

/** Gives each test of a suite an upstream that it plays itself, and clients of proxies whose errors it keeps. */
export function giveEach(express: () => Express, take: (given: Given) => void): void {
  beforeEach(async () => {
    const upstream = await scriptedUpstream()
    const errors: SluicewayError[] = []
    take({
      upstream,
      errors,
      client: async (options, target = upstream.url) =>
        (await startWatched(express(), target, options, errors)).client,
    })
  })
  afterEach(closeServers)
}
