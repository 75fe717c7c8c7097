// Dispatchers of both versions of undici are accepted unchanged, in strict TypeScript. Where test/node22 is not installed,
// both are of undici 7.
/* oxlint-disable import/namespace -- it does not follow the alias of undici 8 into its declarations */
import { passthroughProxy, type Dispatcher } from 'sluiceway'
import * as undici7 from 'undici'
import * as undici8 from 'undici8'

const url = 'http://upstream'

const every: Dispatcher[] = [
  new undici7.Agent(),
  new undici7.Pool(url),
  new undici7.Client(url),
  new undici7.BalancedPool([url]),
  new undici7.ProxyAgent(url),
  new undici7.MockAgent(),
  new undici7.Agent().compose(undici7.interceptors.retry()),
  undici7.getGlobalDispatcher(),
  new undici8.Agent(),
  new undici8.Pool(url),
  new undici8.Client(url),
  new undici8.BalancedPool([url]),
  new undici8.ProxyAgent(url),
  new undici8.MockAgent(),
  new undici8.Agent().compose(undici8.interceptors.retry()),
  undici8.getGlobalDispatcher(),
]

for (const dispatcher of every) passthroughProxy(url, { dispatcher })

// @ts-expect-error it has to dispatch
passthroughProxy(url, { dispatcher: {} })
