import contentType from 'content-type'
import type { IncomingMessage } from 'node:http'
import { sluicewayError } from '../shared/errors.js'

/** Returns the charset that Content-Type names; UTF-8 where it names none or cannot be parsed. */
export function charsetOf(req: IncomingMessage): string {
  try {
    return contentType.parse(req).parameters['charset'] ?? 'utf-8'
  } catch {
    return 'utf-8'
  }
}

/** Decodes text, without its byte order mark. Throws 415 for a charset that no TextDecoder knows. */
export function decode(bytes: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch (cause) {
    throw sluicewayError('ERR_SLUICEWAY_CHARSET_UNSUPPORTED', {
      cause,
      message: `unsupported charset "${charset}"`,
    })
  }
}
