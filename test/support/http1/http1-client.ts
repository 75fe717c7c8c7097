import type * as ChunkedModule from '../../../dist/esm/passthrough-proxy/upstream/http1/chunked.js'
import type * as ClientModule from '../../../dist/esm/passthrough-proxy/upstream/http1/client.js'
import type * as WriterModule from '../../../dist/esm/passthrough-proxy/upstream/http1/request-writer.js'
import type * as ParserModule from '../../../dist/esm/passthrough-proxy/upstream/http1/response-parser.js'
import { root } from '../repository/repository.js'

/*
 * The proxy's own client and its parts, which the package does not export. They are loaded from the built package,
 * so that a test runs the published code.
 */

function built(name: string): Promise<unknown> {
  return import(`${root}/dist/esm/passthrough-proxy/upstream/http1/${name}.js`)
}

export const { ChunkDecoder } = (await built('chunked')) as typeof ChunkedModule
export const { createClient } = (await built('client')) as typeof ClientModule
export const { ResponseParser } = (await built('response-parser')) as typeof ParserModule
export const { requestHead, lastChunk: lastChunkWith } = (await built(
  'request-writer',
)) as typeof WriterModule

export type { ClientOptions } from '../../../dist/esm/passthrough-proxy/upstream/http1/client.js'
export type {
  Failure,
  Receiver,
  Sending,
  Upstream,
  UpstreamRequest,
  Attempt,
} from '../../../dist/esm/passthrough-proxy/upstream/upstream.js'
