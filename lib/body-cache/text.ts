import iconv from 'iconv-lite'

/** Node reads Unicode itself, and this one, some characters of which `iconv-lite` takes for those of 1994. */
const READ_BY_NODE = /^(?:utf-|macintosh)/

/** Names by the number of a code page. The Encoding standard lacks many of them: cp949, ibm850. */
const CODE_PAGE = /^(?:cp|ibm|ms|windows-|iso-8859-)\d{1,4}$/i

/**
 * Returns the name by which `decodeText` knows a charset: that of the Encoding standard where it has one, in which
 * ISO-8859-1 is windows-1252. Throws a RangeError for a charset that is not known.
 *
 * `iconv-lite` adds code pages only. It also knows UTF-7, `hex` and `base64`, which would hide text from whatever
 * inspects the body on its way.
 */
export function encodingNamed(charset: string): string {
  try {
    return new TextDecoder(charset).encoding
  } catch (error) {
    if (CODE_PAGE.test(charset) && iconv.encodingExists(charset)) return charset
    throw error
  }
}

/** Decodes text, without its byte order mark. */
export function decodeText(bytes: Buffer, encoding: string): string {
  if (READ_BY_NODE.test(encoding) || !iconv.encodingExists(encoding)) return decodeByNode(bytes, encoding)
  const text = iconv.decode(bytes, encoding)
  return encoding.startsWith('windows-') ? withControls(text, bytes) : text
}

function decodeByNode(bytes: Buffer, encoding: string): string {
  // 'utf-16' is either, as its mark says; RFC 2781.
  const isBigEndian = encoding === 'utf-16le' && bytes[0] === 0xfe && bytes[1] === 0xff
  return new TextDecoder(isBigEndian ? 'utf-16be' : encoding).decode(bytes)
}

/** The bytes that a code page of Windows leaves free are control characters. `iconv-lite` gives each as U+FFFD. */
function withControls(text: string, bytes: Buffer): string {
  if (!text.includes('\uFFFD')) return text
  const units = Buffer.from(text, 'utf16le')
  // A loop over the bytes takes a tenth of what a callback for each special character takes.
  for (let i = 0; i < bytes.length; i += 1) {
    if (bytes[i]! < 0xa0 && units.readUInt16LE(i * 2) === 0xfffd) units.writeUInt16LE(bytes[i]!, i * 2)
  }
  return units.toString('utf16le')
}
