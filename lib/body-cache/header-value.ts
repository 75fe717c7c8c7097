/** A header's value with its parameters: a media type, or the disposition of a form's part. */
export interface HeaderValue {
  /** The value before the parameters, in lower case. */
  readonly value: string
  /** The parameters, by their names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

/** More parameters only cost time. */
const MAX_HEADER_PARAMETERS = 100

const NAME = /[^;=]*/y
/**
 * Matches a quoted value. Browsers send a backslash as it is, other clients put one before a quote. So a quote after
 * a backslash ends the value only if a `;` or the end of the header follows.
 */
const QUOTED = /[ \t]*"((?:[^"\\]|\\(?!")|\\"(?![ \t]*(?:;|$))|\\(?="[ \t]*(?:;|$)))*)"[ \t]*(?=;|$)/y
const UNQUOTED = /[^;]*/y

/**
 * Reads a header's value as clients write it: parameters with or without quotes, any characters in them, a `;` at the
 * end, words without a value.
 *
 * Returns undefined for more than 100 parameters, and for an ambiguous value: a quote that is not closed or has text
 * after it, or a parameter with two values: programs disagree on which one counts.
 */
export function parseHeaderValue(text: string): HeaderValue | undefined {
  const parameters = new Map<string, string>()
  let at = match(UNQUOTED, text, 0)![0].length
  const value = text.slice(0, at).trim().toLowerCase()
  // Each turn begins at a `;`. Each pattern looks at a character only a few times, so the time is linear in the
  // length.
  for (let count = 0; at < text.length; count += 1) {
    if (count === MAX_HEADER_PARAMETERS) return undefined
    const [name] = match(NAME, text, at + 1)!
    at += 1 + name.length
    if (text[at] !== '=') continue
    const found = match(QUOTED, text, at + 1) ?? unquoted(text, at + 1)
    if (found === undefined || !setOnce(parameters, name, valueOf(found))) return undefined
    at += 1 + found[0].length
  }
  return { value, parameters }
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function unquoted(text: string, at: number): RegExpExecArray | undefined {
  const found = match(UNQUOTED, text, at)!
  return found[0].trimStart().startsWith('"') ? undefined : found
}

function valueOf([whole, quoted]: RegExpExecArray): string {
  return quoted === undefined ? whole.trim() : quoted.replaceAll('\\"', '"')
}

/** Sets a parameter. Returns false if it already had another value. */
function setOnce(parameters: Map<string, string>, name: string, value: string): boolean {
  const key = name.trim().toLowerCase()
  const before = parameters.get(key) ?? value
  parameters.set(key, before)
  return before === value
}
