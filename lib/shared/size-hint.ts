const SPELLED = /^\s*(\d+(?:[.,]\d+)?)\s*([a-z]+)\s*$/i
const UNIT = /^(?:bytes?|([kmgtp])(?:i?b(?:ytes?)?|ilobytes?|egabytes?|igabytes?|erabytes?|etabytes?)?)$/i

/** Suggests the size that a text was probably meant to be, as other packages and environment variables write it. */
export function sizeHint(given: unknown): string {
  if (typeof given !== 'string') return ''
  if (/^\d+$/.test(given)) return `; did you mean ${Number(given)}, or '${Number(given)}b'?`
  if (/^(?:infinity|unlimited)$/i.test(given)) return '; Infinity is a number, without quotes'
  const [, amount, word] = SPELLED.exec(given) ?? []
  const unit = word === undefined ? null : UNIT.exec(word)
  return unit === null || amount === undefined
    ? ''
    : `; did you mean '${amount.replace(',', '.')}${(unit[1] ?? '').toLowerCase()}b'?`
}
