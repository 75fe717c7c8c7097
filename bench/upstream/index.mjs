// Starts the upstreams that proxies pass requests on to. They run where this process runs: on the core of the load.
import { ServerProcess } from '../measure/server-process.mjs'
import { findNginx, startNginx } from './nginx.mjs'

/** `{ url, stop() }` in Node. */
export function startNode() {
  return ServerProcess.start(new URL('node-http.mjs', import.meta.url), [], { core: undefined })
}

/** Two of them: `fast` for what nginx can answer (`node` where there is none), `node` for the rest. */
export async function startUpstreams({ nginx = true } = {}) {
  const node = await startNode()
  const version = nginx ? findNginx() : undefined
  const fast = version ? await startNginx() : node
  return {
    node,
    fast,
    title: version ? `nginx ${version}, one worker` : `node:http of Node ${process.versions.node}`,
    async stop() {
      if (fast !== node) await fast.stop()
      await node.stop()
    },
  }
}
