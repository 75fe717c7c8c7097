import { framingNames } from '../../shared/framing-names.js'
import { hopByHopNames } from './hop-by-hop.js'

/*
 * The names that no trailer has that is passed on: a receiver may take trailers for lines of the head (RFC 9110
 * §6.5.1). `Connection` in the trailers of a response is read too, and removes those that it names.
 */

/** Lines of one connection, framing and routing. */
const inEitherDirection = [...hopByHopNames, ...framingNames, 'host', 'te', 'trailer']

/** An upstream is trusted with the rest, but cookies belong in the head, where `rewrite` changes them. */
export const notInResponseTrailers: readonly string[] = [...inEitherDirection, 'set-cookie']

/** A client is not: logins, and all that a server needs before the body, must not come behind it. */
export const notInRequestTrailers: ReadonlySet<string> = new Set([
  ...inEitherDirection,
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'max-forwards',
  'pragma',
  'proxy-authorization',
  'range',
])
