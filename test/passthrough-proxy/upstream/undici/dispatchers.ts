// Proxies on dispatchers of undici, each with a client.
import express from 'express'
import { passthroughProxy, type PassthroughProxyOptions, type SluicewayError } from 'sluiceway'
import type * as undici7 from 'undici'
import { RawClient } from '../../../support/clients/raw-client.js'
import { attached } from '../../../support/servers/attached.js'
import { closeServers } from '../../../support/servers/servers.js'

export const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n'

const kept: undici7.Dispatcher[] = []
const clients: RawClient[] = []

/** Ends all of them after a test. */
export async function endAll(): Promise<void> {
  for (const client of clients.splice(0)) client.destroy()
  await Promise.all(kept.splice(0).map((dispatcher) => dispatcher.destroy()))
  await closeServers()
}

export function keep<Kind extends undici7.Dispatcher>(dispatcher: Kind): Kind {
  kept.push(dispatcher)
  return dispatcher
}

export interface Started {
  readonly client: RawClient
  readonly port: number
  readonly errors: SluicewayError[]
}

export async function startProxy(
  target: string,
  dispatcher: undici7.Dispatcher,
  options: PassthroughProxyOptions = {},
): Promise<Started> {
  const errors: SluicewayError[] = []
  const app = express().set('env', 'test').disable('x-powered-by')
  app.use(passthroughProxy(target, { dispatcher, ...options }))
  app.use((error: SluicewayError, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error)
    next(error)
  })
  const { port } = await attached(app)
  const client = await RawClient.connect(port)
  clients.push(client)
  return { client, port, errors }
}
