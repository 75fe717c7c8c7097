import { sluicewayError } from '../../shared/errors.js'

/**
 * The header with the marks of the targets to which a request was sent.
 *
 * RFC 9110 §7.6.3 has `Via` for this. It is not used, for the reason that RFC 8586 §1.1 gives for `CDN-Loop`: some
 * servers turn features off if they see it. nginx, for instance, compresses no answer to such a request
 * (`gzip_proxied off`).
 */
const NAME = 'Sluiceway-Loop'

export const loopHeader: string = NAME.toLowerCase()

/** A request that has passed some 80 proxies is in a loop, even if each request creates new proxies. */
const MAX_MARKS_LENGTH = 1024

/** Creates the mark of one target of one proxy. It is random, so that no text of a client matches it by chance. */
export function newMark(): string {
  return process.getBuiltinModule('node:crypto').randomBytes(9).toString('base64url')
}

/** The record of a request's passages: the values of its `Sluiceway-Loop` lines, and its lines. */
interface Marked {
  readonly lines: string[]
  readonly marks: string
}

/** Marks a request with the target to which it is sent, and refuses it if it has been there before. */
export function refuseLoop(head: Marked, mark: string): void {
  if (head.marks !== '' && (head.marks.includes(mark) || head.marks.length > MAX_MARKS_LENGTH)) {
    throw sluicewayError('ERR_SLUICEWAY_PROXY_LOOP')
  }
  head.lines.push(NAME, mark)
}
