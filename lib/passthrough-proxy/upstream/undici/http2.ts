import { sluicewayError } from '../../../shared/errors.js'

/** Tells trailers by name, as undici gives those of HTTP/2, from raw lines; without any it gives an empty object. */
export function cameOverHttp2(trailers: object): boolean {
  return !Array.isArray(trailers) && Object.keys(trailers).length > 0
}

/** undici 7 takes an answer for complete when its trailers come, whatever of its body has not been read by then. */
export function trailersOverHttp2(): Error {
  return sluicewayError('ERR_SLUICEWAY_UPSTREAM_BAD_RESPONSE', {
    message:
      'the upstream sent trailers over HTTP/2, where undici 7 loses the body; use a dispatcher without allowH2',
  })
}
