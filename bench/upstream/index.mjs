// Starts the upstreams that proxies pass requests on to. They run where this process runs: on the core of the load.
import { ServerProcess } from '../measure/server-process.mjs'
import { makeCertificate } from './certificate.mjs'
import { findNginx, startNginx } from './nginx.mjs'

/** `{ url, stop() }` in Node. */
export function startNode() {
  return ServerProcess.start(new URL('node-http.mjs', import.meta.url), [], { core: undefined })
}

/**
 * `fast` for what nginx can answer (`node` where there is none), `node` for the rest, `secure` the fast one over TLS
 * (undefined without nginx and openssl), `env` what makes Node and Go trust that.
 */
export async function startUpstreams({ nginx = true } = {}) {
  const node = await startNode()
  const version = nginx ? findNginx() : undefined
  const certificate = version && makeCertificate()
  const fast = version ? await startNginx(certificate) : node
  return {
    node,
    fast,
    secure: fast.secure,
    env: certificate ? { NODE_EXTRA_CA_CERTS: certificate.file, SSL_CERT_FILE: certificate.file } : {},
    title: version ? `nginx ${version}, one worker` : `node:http of Node ${process.versions.node}`,
    async stop() {
      if (fast !== node) await fast.stop()
      await node.stop()
    },
  }
}
