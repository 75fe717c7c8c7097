import type { IncomingMessage } from 'node:http'

import type { Dispatcher } from 'undici'

import { pendingUpgrade } from '../../shared/upgrade.js'
import type { OutgoingRequest } from '../hooks.js'
import { hasBody, type RequestHead } from './headers.js'
import type { ProxySettings } from '../settings.js'
import type { Target } from '../target.js'
import { UploadBody } from './upload-body.js'
import { takeBufferedBody } from './buffered-body.js'

/** A request as it is handed to the upstream's dispatcher. */
export interface SentRequest {
  readonly target: Target
  readonly options: Dispatcher.DispatchOptions
  /** The client's own body, where it is what is sent and has not come whole. */
  readonly upload: UploadBody | undefined
  /** Whether the client has a body that was not taken as one piece. */
  readonly leavesBody: boolean
}

/** Puts a request that nobody changes any more into undici's terms. */
export function sentRequest(
  req: IncomingMessage,
  target: Target,
  head: RequestHead,
  outgoing: OutgoingRequest,
  settings: ProxySettings,
): SentRequest {
  const isOwn = outgoing.body === req
  const whole = isOwn ? takeBufferedBody(req, head) : undefined
  const upload = isOwn && whole === undefined ? new UploadBody(req) : undefined
  if (settings.preserveHost) keepHost(outgoing, head)
  if (isOwn) keepFraming(outgoing, head)
  const options: Dispatcher.DispatchOptions = {
    origin: target.origin,
    path: outgoing.path,
    method: outgoing.method,
    headers: outgoing.headers.lines,
    body: whole ?? upload ?? outgoing.body,
    headersTimeout: settings.headersTimeoutMs,
    bodyTimeout: settings.idleTimeoutMs,
  }
  const token = acceptedUpgrade(req, settings)
  // Without `reset` undici gives up the connection after HEAD, and after a body with GET, DELETE or OPTIONS.
  if (token === undefined) options.reset = false
  else options.upgrade = token
  return { target, options, upload, leavesBody: hasBody(head) && whole === undefined }
}

/** Unless a hook has named another. */
function keepHost({ headers }: OutgoingRequest, { host }: RequestHead): void {
  if (host !== undefined && !headers.has('host')) headers.append('host', host)
}

/** Without a length undici sends chunks. */
function keepFraming({ headers }: OutgoingRequest, { chunked, contentLength }: RequestHead): void {
  if (!chunked) headers.append('content-length', contentLength as string)
}

/** The token under which the connection is to be tunnelled, if any. */
function acceptedUpgrade(req: IncomingMessage, { upgrade }: ProxySettings): string | undefined {
  if (pendingUpgrade(req) === undefined) return undefined
  const asked = (req.headers.upgrade ?? '').split(',').map((token) => token.trim())
  return asked.find((token) => upgrade.has(token.toLowerCase()))
}
