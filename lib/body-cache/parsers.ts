import type { IncomingMessage } from 'node:http'
import qs from 'qs'
import secureJson from 'secure-json-parse'
import { sluicewayError } from '../shared/errors.js'

/** More of either costs CPU without end. @see GHSA-wqch-xfxh-vrr4 */
const FORM_LIMITS = { parameterLimit: 1000, depth: 32 }

/** Parses JSON; keys that would poison a prototype are an error, as is anything that is not JSON. */
export function parseJson(text: string): unknown {
  if (text === '') return undefined
  try {
    return secureJson.parse(text)
  } catch (cause) {
    throw sluicewayError('ERR_SLUICEWAY_BODY_MALFORMED', {
      cause,
      body: text,
      message: (cause as Error).message,
    })
  }
}

/** Parses a urlencoded form into an object without a prototype of its own keys' making. */
export function parseForm(text: string): Record<string, unknown> {
  try {
    return qs.parse(text, {
      ...FORM_LIMITS,
      strictDepth: true,
      throwOnLimitExceeded: true,
      arrayLimit: 100,
      plainObjects: true,
    })
  } catch (cause) {
    throw sluicewayError('ERR_SLUICEWAY_BODY_MALFORMED', {
      cause,
      message: (cause as Error).message,
    })
  }
}

/** Parses a multipart or urlencoded form with Node's own parser. */
export async function parseFormData(bytes: Buffer, req: IncomingMessage): Promise<FormData> {
  const headers = { 'content-type': req.headers['content-type'] ?? '' }
  try {
    return await new Response(bytes, { headers }).formData()
  } catch (cause) {
    throw sluicewayError('ERR_SLUICEWAY_BODY_MALFORMED', {
      cause,
      message: 'request body is not a well-formed form',
    })
  }
}
