import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text as readAll } from 'node:stream/consumers'
import { type BodyCache, bodyCache, type BodyCacheOptions } from 'sluiceway/body-cache'
import { type Handler, hosts } from '../support/express/hosts.js'
import { serve } from '../support/servers/servers.js'

const { mount } = hosts[0]!

/** The error that an accessor rejects with, in the form of body-parser's errors. */
export interface BodyError {
  readonly status: number
  readonly type: string
  readonly code: string
  readonly message: string
  readonly issues?: readonly { readonly path?: unknown; readonly message?: string }[]
  readonly body?: string
  readonly limit?: number
}

type Read = (req: IncomingMessage) => Promise<unknown>

/** Sends one body to a server and returns the result of `read` there, or its error. */
export async function found(
  read: Read,
  body: string | Buffer | FormData,
  headers: Record<string, string> = {},
  options: BodyCacheOptions = {},
): Promise<unknown> {
  const handler: Handler = (req, res) => {
    read(req).then(
      (value) => res.end(JSON.stringify({ value })),
      ({ status, type, code, message, issues, body: unparsed, limit }: BodyError) =>
        res.end(JSON.stringify({ status, type, code, message, issues, body: unparsed, limit })),
    )
  }
  const { url } = await serve(mount(bodyCache(options), handler))
  const type = body instanceof FormData ? {} : { 'content-type': 'text/plain' }
  const response = await fetch(url, { method: 'POST', body, headers: { ...type, ...headers } })
  const answer = (await response.json()) as { value?: unknown }
  return 'value' in answer ? answer.value : answer
}

/** Every way in which `req.bodyCache` reads a body. */
export const accessors: Readonly<Record<string, (body: BodyCache) => Promise<unknown>>> = {
  'buffer()': (body) => body.buffer(),
  'text()': (body) => body.text(),
  'json()': (body) => body.json(),
  'urlencoded()': (body) => body.urlencoded(),
  'formData()': (body) => body.formData(),
  'blob()': (body) => body.blob(),
  'stream()': (body) => readAll(body.stream()),
  'web()': (body) => readAll(body.web()),
}

/** Reads a request with a listener for 'data', and returns the number of its bytes. */
export async function countWithData(req: IncomingMessage): Promise<number> {
  let length = 0
  req.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  await once(req, 'end')
  return length
}

/** The code that a reading rejects with; undefined if it does not. */
export function codeOf(reading: Promise<unknown>): Promise<string | undefined> {
  return reading.then(
    () => undefined,
    (error: BodyError) => error.code,
  )
}
