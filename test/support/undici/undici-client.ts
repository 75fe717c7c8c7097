import type { Dispatcher } from 'sluiceway'
import type * as AdapterModule from '../../../dist/esm/passthrough-proxy/upstream/undici/adapter.js'
import type { ClientOptions, Upstream } from '../http1/http1-client.js'
import { loadNode22 } from '../repository/node22.js'
import { root } from '../repository/repository.js'
import { transport } from './transports.js'

const { dispatcherUpstream } = (await import(
  `${root}/dist/esm/passthrough-proxy/upstream/undici/adapter.js`
)) as typeof AdapterModule

interface UndiciModule {
  Agent: new (options: object) => Dispatcher
}

const { Agent } =
  transport === 'undici8'
    ? await loadNode22<UndiciModule>('undici')
    : ((await import(transport)) as UndiciModule)

/** The replacement of the proxy's own client: an Agent with the same limits, which stays open as a user's does. */
export function createClient(options: ClientOptions): Upstream {
  return dispatcherUpstream(
    new Agent({
      connections: options.maxConnections,
      pipelining: 1,
      connectTimeout: options.connectTimeoutMs,
      maxHeaderSize: options.maxResponseHeadBytes,
      connect: options.connect,
    }),
  )
}
