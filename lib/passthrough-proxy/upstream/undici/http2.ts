import type { Failure } from '../upstream.js'
import type { Controller } from './dispatcher.js'

/** Tells trailers by name, as undici gives those of HTTP/2, from raw lines; without any it gives an empty object. */
export function cameOverHttp2(trailers: Controller['rawTrailers']): boolean {
  return trailers != null && !Array.isArray(trailers) && Object.keys(trailers).length > 0
}

/** undici 7 takes an answer for complete when its trailers come, whatever of its body has not been read by then. */
export const trailersOverHttp2: Failure = {
  kind: 'malformed',
  maybeHeard: true,
  message:
    'the upstream sent trailers over HTTP/2, where undici 7 loses the body; use a dispatcher without allowH2',
  cause: undefined,
}

/** Over HTTP/2 an upgrade is another request with another answer (RFC 8441), for which a client of HTTP/1.1 has no use. */
export function upgradeOverHttp2(cause?: unknown): Failure {
  return {
    kind: 'malformed',
    maybeHeard: true,
    message:
      'the connection to the upstream is HTTP/2, which upgrades nothing; use a dispatcher without allowH2',
    cause,
  }
}

/** undici's words for an upgrade that it does not send over HTTP/2. */
export function isUpgradeOverHttp2({ message }: Error): boolean {
  return /^(?:HTTP\/2: Extended CONNECT |Custom upgrade .* over HTTP\/2$)/.test(message)
}

/** Tells the orderly end of an HTTP/2 connection, which the upstream has announced (RFC 9113 §6.8). */
export function isGoAway({ message }: Error): boolean {
  return message === 'HTTP/2: "GOAWAY" frame received with code 0'
}
