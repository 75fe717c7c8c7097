import { sluicewayError } from '../../shared/errors.js'

/**
 * How much one request may get of interim responses: a megabyte of header lines, as long as each response counts
 * for 64 characters more. Go bounds their sum too; CPython and Ruby take 100, which reports of an upload's progress pass.
 */
const MOST_CHARACTERS = 1024 * 1024
const EACH = 64

/** Adds an interim response to the characters of those before it, or throws where that is too much. */
export function countInterim(before: number, lines: readonly string[]): number {
  let characters = before + EACH
  for (const part of lines) characters += part.length
  if (characters <= MOST_CHARACTERS) return characters
  throw sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
    message: 'the upstream sent too many interim responses',
  })
}
