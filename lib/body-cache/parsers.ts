import type { IncomingMessage } from 'node:http'
import { rejectTooManyLevels } from './json-levels.js'
import { malformed } from './malformed.js'
import { encodingIn, mediaTypeOf } from './media-type.js'
import { parseMultipart } from './multipart.js'
import { parseSafely, type PrototypePoisoning } from './prototype-poisoning.js'
import { parseParameters } from './urlencoded.js'

/** Parses JSON. Keys that would poison a prototype are an error unless `poisoning` says otherwise. */
export function parseJson(text: string, poisoning: PrototypePoisoning): unknown {
  if (text === '') return undefined
  try {
    rejectTooManyLevels(text)
    return parseSafely(text, poisoning)
  } catch (cause) {
    throw malformed((cause as Error).message, cause, text)
  }
}

/** Parses a multipart or urlencoded form, depending on its Content-Type, into a FormData. */
export function parseFormData(bytes: Buffer, req: IncomingMessage): FormData {
  const mediaType = mediaTypeOf(req)
  if (mediaType?.value === 'multipart/form-data') {
    return parseMultipart(bytes, mediaType.parameters.get('boundary'))
  }
  if (mediaType?.value === 'application/x-www-form-urlencoded') {
    return parseParameters(bytes, encodingIn(mediaType))
  }
  throw malformed('request body is not a well-formed form: its Content-Type is not that of a form')
}
