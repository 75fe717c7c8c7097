import type { IncomingHttpHeaders } from 'node:http'
import { STATUS_CODES } from '../../../node/http.js'
import { framingNames } from '../../../shared/framing-names.js'
import type { Controller, RawPart } from './dispatcher.js'

type Raw = Controller['rawHeaders']

/** Converts raw parts to text. Header bytes are latin1: each byte is one character, and is sent as the same byte. */
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
 * Returns the lines of a head, in their original form if it is known. An interceptor may change the headers only by
 * name; in that case they count instead of the lines.
 */
export function headLines(raw: Raw, headers: IncomingHttpHeaders | undefined): string[] {
  if (!Array.isArray(raw)) return namedLines(headers ?? (raw as IncomingHttpHeaders | null | undefined))
  const lines = textLines(raw as readonly RawPart[])
  return headers === undefined || haveSameValues(lines, headers) ? lines : namedLines(headers)
}

/** Returns the lines of headers that are known only by name. */
export function namedLines(headers: IncomingHttpHeaders | null | undefined): string[] {
  const lines: string[] = []
  for (const [name, value] of Object.entries(headers ?? {})) {
    for (const each of [value ?? []].flat()) lines.push(name, each)
  }
  return lines
}

/** Tells whether a head says where its body ends. */
export function isFramed(lines: readonly string[]): boolean {
  for (let i = 0; i < lines.length; i += 2) {
    if (FRAMING.test(lines[i] as string)) return true
  }
  return false
}

const FRAMING = new RegExp(`^(?:${framingNames.join('|')})$`, 'i')

function haveSameValues(lines: readonly string[], headers: IncomingHttpHeaders): boolean {
  let values = 0
  for (const value of Object.values(headers)) values += Array.isArray(value) ? value.length : 1
  if (values !== lines.length / 2) return false
  const places = new Map<string, number>()
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase()
    // A list has the values in the order of the lines. To search it for each of a thousand cookies takes a second.
    const place = places.get(name) ?? 0
    places.set(name, place + 1)
    const value = headers[name]
    if (!isSameText(lines[i + 1] as string, Array.isArray(value) ? value[place] : value)) return false
  }
  return true
}

/** Compares values, as some versions of undici decode them as UTF-8. */
function isSameText(line: string, value: string | undefined): boolean {
  return line === value || Buffer.from(line, 'latin1').toString('utf8') === value
}

const NOT_ASCII = /[^\0-\x7f]/

/** The character that replaces bytes which undici cannot decode as UTF-8. */
const LOST = '\ufffd'

/** Returns the bytes of a reason phrase, which undici decodes as UTF-8, unlike the rest of a head. */
export function phraseBytes(reason: string): string {
  if (!NOT_ASCII.test(reason) || reason.includes(LOST)) return reason
  return Buffer.from(reason, 'utf8').toString('latin1')
}

/** Returns the phrase that Node writes for a status if there is none. */
export function phraseOf(status: number): string {
  return STATUS_CODES[status] ?? 'unknown'
}

function text(part: Buffer | string): string {
  return typeof part === 'string' ? part : part.toString('latin1')
}
