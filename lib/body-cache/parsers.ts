import contentType from 'content-type'
import type { IncomingMessage } from 'node:http'
import qs from 'qs'
import secureJson from 'secure-json-parse'
import { sluicewayError } from '../shared/errors.js'

/** More of either costs CPU without end. @see GHSA-wqch-xfxh-vrr4 */
const MOST_PARAMETERS = 1000
const DEEPEST_KEY = 32

/** What happens to keys that would poison a prototype. */
export type PrototypePoisoning = 'error' | 'remove' | 'ignore'

/** Parses JSON; keys that would poison a prototype are an error unless told otherwise, as is anything that is not JSON. */
export function parseJson(text: string, poisoning: PrototypePoisoning): unknown {
  if (text === '') return undefined
  try {
    return secureJson.parse(text, { protoAction: poisoning, constructorAction: poisoning })
  } catch (cause) {
    throw malformed((cause as Error).message, cause, text)
  }
}

/** Parses a urlencoded form into objects without a prototype. `encoding` is that of its escapes, too. */
export function parseForm(
  text: string,
  encoding: string,
  poisoning: PrototypePoisoning,
): Record<string, unknown> {
  rejectMoreThan(MOST_PARAMETERS - 1, '&', text)
  try {
    const form = qs.parse(text, {
      charset: encoding === 'windows-1252' ? 'iso-8859-1' : 'utf-8',
      parameterLimit: MOST_PARAMETERS,
      // As many as there can be, as Express' own parser has it; a higher index is a key.
      arrayLimit: MOST_PARAMETERS,
      depth: DEEPEST_KEY,
      strictDepth: true,
      plainObjects: true,
    })
    return secureJson.scan(form, { constructorAction: poisoning }) as Record<string, unknown>
  } catch (cause) {
    throw malformed((cause as Error).message, cause)
  }
}

/** Parses a multipart or urlencoded form with Node's own parser. */
export async function parseFormData(bytes: Buffer, req: IncomingMessage): Promise<FormData> {
  const type = req.headers['content-type'] ?? ''
  const boundary = boundaryOf(type)
  if (boundary === undefined) rejectMoreThan(MOST_PARAMETERS - 1, '&', bytes)
  else rejectMoreThan(MOST_PARAMETERS, `\r\n--${boundary}`, bytes)
  try {
    return await new Response(bytes, { headers: { 'content-type': type } }).formData()
  } catch (cause) {
    throw malformed('request body is not a well-formed form', cause)
  }
}

function boundaryOf(type: string): string | undefined {
  try {
    return contentType.parse(type).parameters['boundary']
  } catch {
    return undefined
  }
}

/** Counts before anything is built, and no further than it has to. */
function rejectMoreThan(most: number, separator: string, form: string | Buffer): void {
  let count = 0
  for (let at = form.indexOf(separator); at !== -1; at = form.indexOf(separator, at + separator.length)) {
    count += 1
    if (count > most) throw malformed(`more than ${MOST_PARAMETERS} parameters`)
  }
}

function malformed(message: string, cause?: unknown, body?: string): Error {
  return sluicewayError('ERR_SLUICEWAY_BODY_MALFORMED', { message, cause, body })
}
