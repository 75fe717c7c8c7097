import contentType from 'content-type'
import type { IncomingMessage } from 'node:http'
import { sluicewayError } from '../shared/errors.js'

/**
 * Returns the encoding that Content-Type names, by its name in the Encoding standard; 'utf-8' where it names none or
 * cannot be parsed. Throws 415 for a charset that no TextDecoder knows.
 */
export function encodingOf(req: IncomingMessage): string {
  const charset = charsetOf(req)
  try {
    return new TextDecoder(charset).encoding
  } catch (cause) {
    throw sluicewayError('ERR_SLUICEWAY_CHARSET_UNSUPPORTED', {
      cause,
      message: `unsupported charset "${charset}"`,
    })
  }
}

function charsetOf(req: IncomingMessage): string {
  try {
    return contentType.parse(req).parameters['charset'] ?? 'utf-8'
  } catch {
    return 'utf-8'
  }
}

/** Decodes text, without its byte order mark. */
export function decodeText(bytes: Buffer, encoding: string): string {
  if (encoding === 'windows-1252') return decodeWindows1252(bytes)
  // 'utf-16' is either, as its mark says; RFC 2781.
  const isBigEndian = encoding === 'utf-16le' && bytes[0] === 0xfe && bytes[1] === 0xff
  return new TextDecoder(isBigEndian ? 'utf-16be' : encoding).decode(bytes)
}

/** What windows-1252 has where ISO-8859-1 has control characters, from 0x80 to 0x9f. */
const WINDOWS = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

/** The TextDecoder of Node 20 gives control characters there (nodejs/node#56542). */
function decodeWindows1252(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replaceAll(/[\u0080-\u009f]/g, (control) => WINDOWS[control.charCodeAt(0) - 0x80]!)
}
