/**
 * RFC 8259 §9 allows such a bound. V8 takes a tenth of a second for half a million levels, and they overflow
 * the stack of the code that uses the value.
 */
const MAX_LEVELS = 1000

const [QUOTE, BACKSLASH, LIST, LIST_END, OBJECT, OBJECT_END] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d] as const

/** Throws SyntaxError if JSON text nests lists and objects more than 1000 levels deep. */
export function rejectTooManyLevels(text: string): void {
  // Each level takes a bracket to open it and one to close it.
  if (text.length <= MAX_LEVELS) return
  let levels = 0
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit === QUOTE) i = endOfString(text, i)
    else if (unit === LIST || unit === OBJECT) levels += 1
    else if (unit === LIST_END || unit === OBJECT_END) levels -= 1
    if (levels > MAX_LEVELS) throw new SyntaxError(`more than ${MAX_LEVELS} levels`)
  }
}

/** Returns the position of the quote that ends the string, or the end of the text if there is none. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end === -1 ? text.length : end
}

function isEscaped(text: string, quote: number): boolean {
  let at = quote - 1
  while (text.charCodeAt(at) === BACKSLASH) at -= 1
  return (quote - at) % 2 === 0
}
