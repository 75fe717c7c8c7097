import type { PassthroughProxyOptions } from 'sluiceway'
import * as undici7 from 'undici'
import { certificate } from '../../test/support/tls-certificate.js'

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

type Undici = typeof undici7

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
/** Its package asks for as much. */
const runsUndici8 = major > 22 || (major === 22 && minor >= 19)

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
  // What is used here has the same types in both.
  'undici 8': runsUndici8
    ? agentOf('undici 8', async () => (await import('undici8')) as unknown as Undici)
    : undefined,
}
