// Proxies whose upstreams are of any kind, and what a client of theirs gets.
import express from 'express'
import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import type { Dispatcher } from 'undici'
import { RawClient, type RawResponse } from '../../support/clients/raw-client.js'
import { closeServers, serve } from '../../support/servers/servers.js'

const dispatchers: Dispatcher[] = []

/** Ends what a test has used. */
export async function endAll(): Promise<void> {
  await Promise.all(dispatchers.splice(0).map((dispatcher) => dispatcher.destroy()))
  await closeServers()
}

export function kept<Kind extends Dispatcher>(dispatcher: Kind): Kind {
  dispatchers.push(dispatcher)
  return dispatcher
}

export async function start(
  target: string,
  options: PassthroughProxyOptions = {},
): Promise<{ port: number; client: RawClient; errors: SluicewayError[] }> {
  const errors: SluicewayError[] = []
  const app = express().set('env', 'test').disable('x-powered-by').use(passthroughProxy(target, options))
  app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error)
    next(error)
  })
  const { port } = await serve(app)
  return { port, client: await RawClient.connect(port), errors }
}

export async function asked(
  target: string,
  dispatcher?: Dispatcher,
): Promise<RawResponse & { readonly errors: SluicewayError[] }> {
  const { client, errors } = await start(target, { dispatcher })
  client.request('GET', '/asked')
  const response = await client.response()
  client.destroy()
  return { ...response, errors }
}
