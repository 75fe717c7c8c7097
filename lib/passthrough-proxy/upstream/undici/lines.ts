import type { IncomingHttpHeaders } from 'node:http'

import type { Controller, RawPart } from './dispatcher.js'

type Raw = Controller['rawHeaders']

/** Raw parts as text. Header bytes are latin1: every byte is one character, and goes out as that byte again. */
export function textLines(raw: readonly RawPart[]): string[] {
  const lines: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i] as Buffer | string)
    const values = raw[i + 1] as RawPart
    if (Array.isArray(values)) for (const value of values) lines.push(name, text(value))
    else lines.push(name, text(values as Buffer | string))
  }
  return lines
}

/**
 * The lines of a head, as they came where that is known. An interceptor may have changed the headers by name, and knows
 * nothing of the lines: then its word counts.
 */
export function headLines(raw: Raw, headers: IncomingHttpHeaders | undefined): string[] {
  if (!Array.isArray(raw)) return namedLines(headers ?? (raw as IncomingHttpHeaders | null | undefined))
  const lines = textLines(raw as readonly RawPart[])
  return headers === undefined || saysTheSame(lines, headers) ? lines : namedLines(headers)
}

/** Lines of what is known by name alone. */
export function namedLines(headers: IncomingHttpHeaders | null | undefined): string[] {
  const lines: string[] = []
  for (const [name, value] of Object.entries(headers ?? {})) {
    for (const each of [value ?? []].flat()) lines.push(name, each)
  }
  return lines
}

function saysTheSame(lines: readonly string[], headers: IncomingHttpHeaders): boolean {
  let values = 0
  for (const value of Object.values(headers)) values += Array.isArray(value) ? value.length : 1
  if (values !== lines.length / 2) return false
  for (let i = 0; i < lines.length; i += 2) {
    const value = headers[(lines[i] as string).toLowerCase()]
    const isSame = Array.isArray(value)
      ? value.some((each) => isSameText(lines[i + 1] as string, each))
      : isSameText(lines[i + 1] as string, value)
    if (!isSame) return false
  }
  return true
}

/** Some versions of undici decode the values as UTF-8. */
function isSameText(line: string, value: string | undefined): boolean {
  return line === value || Buffer.from(line, 'latin1').toString('utf8') === value
}

const NOT_ASCII = /[^\0-\x7f]/

/** What undici cannot read as UTF-8, and reads as this. */
const LOST = '\ufffd'

/** undici reads a reason phrase as UTF-8, unlike all else of a head. */
export function phraseBytes(reason: string | undefined): string {
  if (reason === undefined || !NOT_ASCII.test(reason) || reason.includes(LOST)) return reason ?? ''
  return Buffer.from(reason, 'utf8').toString('latin1')
}

function text(part: Buffer | string): string {
  return typeof part === 'string' ? part : part.toString('latin1')
}
