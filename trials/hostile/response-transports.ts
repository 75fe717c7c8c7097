import type { PassthroughProxyOptions } from 'sluiceway'
import * as undici7 from 'undici'
import { hasNode22Packages } from '../../test/support/repository/node22.js'
import { certificate } from '../../test/support/servers/tls-certificate.js'
import { type Undici, undici8 } from '../../test/support/undici/undici-versions.js'

/** A way of requests to an upstream, over one connection to each. */
export interface Transport {
  readonly name: string
  /** Its own parser decides what is a response: it may refuse what must be taken, and take what may not be. */
  readonly isForeign: boolean
  readonly open: (connectTimeoutMs: number) => Promise<Connections>
}

export interface Connections {
  readonly options: PassthroughProxyOptions
  readonly close: () => Promise<void>
}

const trusting = { ca: certificate }

const builtIn: Transport = {
  name: 'built-in',
  isForeign: false,
  open: async (connectTimeoutMs) => ({
    options: { maxConnections: 1, connect: trusting, connectTimeoutMs },
    close: async () => {},
  }),
}

function agentOf(name: string, load: () => Promise<Undici>): Transport {
  return {
    name,
    isForeign: true,
    open: async (connectTimeoutMs) => {
      const { Agent } = await load()
      const dispatcher = new Agent({ connections: 1, connect: { ...trusting, timeout: connectTimeoutMs } })
      return { options: { dispatcher }, close: () => dispatcher.destroy() }
    },
  }
}

export const transports: Readonly<Record<string, Transport | undefined>> = {
  'built-in': builtIn,
  'undici 7': agentOf('undici 7', async () => undici7),
  'undici 8': hasNode22Packages ? agentOf('undici 8', undici8) : undefined,
}
