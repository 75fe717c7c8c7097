import { randomBytes } from 'node:crypto'

import { sluicewayError } from '../../shared/errors.js'

/**
 * The header in which a request carries the marks of the targets that it was sent to.
 *
 * RFC 9110 §7.6.3 has `Via` for this. It is not used, for the reason that RFC 8586 §1.1 gives for `CDN-Loop`: servers turn
 * features off where they see it. nginx, for one, compresses no answer to such a request (`gzip_proxied off`).
 */
const NAME = 'Sluiceway-Loop'

export const loopHeader: string = NAME.toLowerCase()

/** A request that has come through some 80 proxies goes in a circle, be it through proxies that are made anew each time. */
const MOST_MARKS = 1024

/** Makes the mark of one target of one proxy. It is random, so that no client can take itself for a loop by chance. */
export function newMark(): string {
  return randomBytes(9).toString('base64url')
}

/** What is noted of a request's passages: the values of its `Sluiceway-Loop` lines, and its lines. */
export interface Marked {
  readonly lines: string[]
  readonly marks: string
}

/** Marks a request with the target that it is sent to, and refuses it where it has been there before. */
export function refuseLoop(head: Marked, mark: string): void {
  if (head.marks !== '' && (head.marks.includes(mark) || head.marks.length > MOST_MARKS)) {
    throw sluicewayError('ERR_SLUICEWAY_PROXY_LOOP')
  }
  head.lines.push(NAME, mark)
}
