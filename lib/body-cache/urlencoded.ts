import type qs from 'qs'
import { malformed } from './malformed.js'
import { poisoned, type PrototypePoisoning, treatPoison } from './prototype-poisoning.js'
import { decodeEscaped, decodeText } from './text.js'

/** The bounds of a form: without them a body costs unlimited CPU time. @see GHSA-wqch-xfxh-vrr4 */
const MAX_PARAMETERS = 1000
const MAX_DEPTH = 32

/**
 * qs creates a list as long as its largest index, however few values it has: a list of 1000 objects adds up to half
 * of this.
 */
const MAX_INDEX_SUM = 1_000_000

/** Loaded with the first form: with its dependencies it has 33 files. */
let parser: typeof qs | undefined

/** Parses a form into objects without a prototype. `encoding` also applies to its escapes. */
export async function parseForm(
  bytes: Buffer,
  encoding: string,
  poisoning: PrototypePoisoning,
): Promise<Record<string, unknown>> {
  const form = formText(bytes, encoding)
  rejectTooManyParameters(form)
  parser ??= (await import('qs')).default
  try {
    const parsed = parseNested(parser, spaced(form), keyCheck(poisoning), encoding)
    return treatPoison(parsed, poisoning)
  } catch (cause) {
    throw malformed((cause as Error).message, cause)
  }
}

/** Parses a form into a FormData, as browsers do. `encoding` also applies to its escapes. */
export function parseParameters(bytes: Buffer, encoding: string): FormData {
  const form = formText(bytes, encoding)
  rejectTooManyParameters(form)
  const data = new FormData()
  if (!isUnicode(encoding)) return appendPairs(data, spaced(form), unescapeIn(encoding))
  // URLSearchParams would drop a `?` at the beginning, as if it began the query of a URL.
  for (const [name, value] of new URLSearchParams(`&${spaced(form)}`)) data.append(name, value)
  return data
}

function appendPairs(data: FormData, form: string, unescapePart: (part: string) => string): FormData {
  for (const pair of form.split('&')) {
    if (pair === '') continue
    const [name = '', ...value] = pair.split('=')
    data.append(unescapePart(name), unescapePart(value.join('=')))
  }
  return data
}

/**
 * Counts the parameters before it creates any value, and stops counting at the bound. Both parsers split a form
 * only at `&`, whatever Content-Type says. The count of qs cannot be used: it also throws for `a[18234]=1`.
 */
function rejectTooManyParameters(form: string): void {
  let count = 1
  for (let at = form.indexOf('&'); at !== -1; at = form.indexOf('&', at + 1)) {
    count += 1
    if (count > MAX_PARAMETERS) throw malformed(`more than ${MAX_PARAMETERS} parameters`)
  }
}

function parseNested(
  { parse }: typeof qs,
  form: string,
  checkKey: (key: string) => void,
  encoding: string,
): Record<string, unknown> {
  const unescapePart = unescapeIn(encoding)
  return parse(form, {
    decoder: (part, _decoder, _charset, kind) => {
      const decoded = unescapePart(part)
      if (kind === 'key') checkKey(decoded)
      return decoded
    },
    parameterLimit: MAX_PARAMETERS,
    // A list can have as many values as there are parameters, as in Express's own parser; a higher index is a key.
    arrayLimit: MAX_PARAMETERS,
    depth: MAX_DEPTH,
    strictDepth: true,
    plainObjects: true,
  })
}

/** Matches a key that qs silently drops. */
const POISON = /(?:^|\[)__proto__(?:[[\]]|$)/

/** Returns a function that checks each key before any of them creates an object. */
function keyCheck(poisoning: PrototypePoisoning): (key: string) => void {
  let indexes = 0
  return (key) => {
    if (poisoning === 'error' && POISON.test(key)) throw poisoned()
    indexes += indexesOf(key)
    if (indexes > MAX_INDEX_SUM) throw new RangeError('list indexes add up to too much')
  }
}

function indexesOf(key: string): number {
  let sum = 0
  for (const [, digits] of key.matchAll(/\[(\d{1,3})\]/g)) sum += Number(digits)
  return sum
}

/**
 * Replaces each `+` by a space. The methods of String take 100 ms for a million of them, as each creates a string.
 */
function spaced(form: string): string {
  if (!form.includes('+')) return form
  const units = Buffer.from(form, 'utf16le')
  for (let i = 0; i < units.length; i += 2) if (units[i] === 0x2b && units[i + 1] === 0) units[i] = 0x20
  return units.toString('utf16le')
}

function unescapeUtf8(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/**
 * Returns the text of a form. In a legacy encoding each character stands for a byte until `decodeEscaped` decodes
 * them.
 */
function formText(bytes: Buffer, encoding: string): string {
  return isUnicode(encoding) ? decodeText(bytes, encoding) : bytes.toString('latin1')
}

/** Tells whether an encoding is UTF-8 or UTF-16: in both, the escapes are UTF-8. */
function isUnicode(encoding: string): boolean {
  return encoding.startsWith('utf-')
}

/** Returns the function that decodes the escapes of a part. */
function unescapeIn(encoding: string): (part: string) => string {
  return isUnicode(encoding) ? unescapeUtf8 : (part) => decodeEscaped(part, encoding)
}
