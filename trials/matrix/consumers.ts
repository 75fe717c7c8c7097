import { clients } from './clients.js'
import type { Consumer } from './consumer.js'
import { parsers } from './parsers.js'
import { proxies } from './proxies.js'
import { streams } from './streams.js'

/** Every consumer of the matrix. */
export const consumers: readonly Consumer[] = [...parsers, ...streams, ...clients, ...proxies]
