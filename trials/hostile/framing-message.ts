/** One message, or what may be taken for one, as it stands on the wire. */
export interface FramingCase {
  readonly name: string
  readonly bytes: string
  /** How many requests are in it where bare Node does not say: it loses what stands behind an upgrade. */
  readonly most?: number
}

/** A request that must never be found in the body of another. */
export const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n'
/** Its length, in decimal and hexadecimal digits. */
export const N: number = HIDDEN.length
export const HEX: string = N.toString(16)
export const CHUNKED_HIDDEN: string = `${HEX}\r\n${HIDDEN}\r\n0\r\n\r\n`

interface Parts {
  readonly start?: string
  readonly lines?: readonly string[]
  readonly body?: string
  readonly endOfLine?: string
}

export function message({
  start = 'POST /outer HTTP/1.1',
  lines = [],
  body = '',
  endOfLine = '\r\n',
}: Parts): string {
  return [start, 'Host: a', ...lines, '', ''].join(endOfLine) + body
}

export const CHUNKED = 'Transfer-Encoding: chunked'
export const LENGTH = `Content-Length: ${N}`

export function named(name: string, bytes: string, most?: number): FramingCase {
  return { name, bytes, ...(most === undefined ? {} : { most }) }
}
