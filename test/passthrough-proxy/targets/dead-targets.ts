// Targets to which no request can be sent, and one that tells what it was sent.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { buffer } from 'node:stream/consumers'
import type { ErrorCode, PassthroughProxyOptions } from 'sluiceway'
import { scriptedUpstream } from '../../support/servers/scripted-upstream.js'
import { listen, serve, type TestServer } from '../../support/servers/servers.js'
import { certificate, key } from '../../support/servers/tls-certificate.js'

/** Nothing listens there. */
export const REFUSING = 'http://127.0.0.1:1'

interface DeadTarget {
  readonly code: ErrorCode
  readonly options?: PassthroughProxyOptions
  readonly start: () => Promise<string>
}

/** The targets by why they fail. */
export const deadTargets: Readonly<Record<string, DeadTarget>> = {
  'refuses connections': { code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE', start: async () => REFUSING },
  'has an unknown name': {
    code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE',
    start: async () => 'http://nowhere.invalid',
  },
  'has a certificate that is not trusted': {
    code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE',
    start: async () =>
      (await listen(createServer({ key, cert: certificate }))).url.replace('http:', 'https:'),
  },
  'speaks no TLS': {
    code: 'ERR_SLUICEWAY_UPSTREAM_UNREACHABLE',
    start: async () => (await echoingUpstream()).url.replace('http:', 'https:'),
  },
  'does not accept a connection in time': {
    code: 'ERR_SLUICEWAY_UPSTREAM_TIMEOUT',
    options: { connectTimeoutMs: 50 },
    start: async () => (await scriptedUpstream()).url.replace('http:', 'https:'),
  },
}

/** What the upstream was sent. */
export interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Starts an upstream that answers with the request, as JSON. */
export function echoingUpstream(): Promise<TestServer> {
  return serve((req, res) => void echo(req, res))
}

async function echo(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { method, url, headers } = req
  const body = (await buffer(req)).toString('latin1')
  res.end(JSON.stringify({ method, url, headers, body }))
}
