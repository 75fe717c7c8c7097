// Proxies whose errors a test keeps, and a client of theirs.
import type { Express } from 'express'
import {
  passthroughProxy,
  type PassthroughProxy,
  type PassthroughProxyOptions,
  type SluicewayError,
} from 'sluiceway'
import { RawClient } from '../support/clients/raw-client.js'
import { serve } from '../support/servers/servers.js'

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
