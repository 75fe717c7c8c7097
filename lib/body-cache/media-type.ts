import type { IncomingMessage } from 'node:http'
import { sluicewayError } from '../shared/errors.js'
import { type HeaderValue, parseHeaderValue } from './header-value.js'
import { encodingNamed } from './text.js'

/** Reads the request's Content-Type. This is the one place that determines its type, boundary and charset. */
export function mediaTypeOf(req: IncomingMessage): HeaderValue | undefined {
  return parseHeaderValue(req.headers['content-type'] ?? '')
}

/**
 * Returns the encoding of a request's body, for `decodeText`; 'utf-8' if Content-Type names none.
 * Throws 415 for an unknown charset, and if Content-Type names an ambiguous one.
 */
export function encodingOf(req: IncomingMessage): string {
  const mediaType = mediaTypeOf(req)
  if (mediaType !== undefined) return encodingIn(mediaType)
  const type = req.headers['content-type'] ?? ''
  if (/charset/i.test(type)) throw unsupportedCharset(type)
  return 'utf-8'
}

/** Returns the encoding that a media type names, or else 'utf-8'. Throws 415 for an unknown charset. */
export function encodingIn({ parameters }: HeaderValue): string {
  return encodingOfCharset(parameters.get('charset') ?? 'utf-8')
}

/** Returns the encoding of a charset, for `decodeText`. Throws 415 for an unknown one. */
export function encodingOfCharset(charset: string): string {
  try {
    return encodingNamed(charset)
  } catch (cause) {
    throw unsupportedCharset(charset, cause)
  }
}

function unsupportedCharset(charset: string, cause?: unknown): Error {
  return sluicewayError('ERR_SLUICEWAY_CHARSET_UNSUPPORTED', {
    cause,
    message: `unsupported charset "${charset}"`,
  })
}
