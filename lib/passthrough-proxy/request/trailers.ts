import type { IncomingMessage } from 'node:http'
import { isDigest } from '../headers/digests.js'
import { describesClient } from './forwarded.js'
import { loopHeader } from './loop.js'

/**
 * Returns the trailers of a request that are passed on after its body: name, value, name, value, … It omits those
 * that an upstream could take for lines of this proxy or of the application, if it reads trailers as headers (RFC
 * 9110 §6.5.1), and the digests of a changed body. The upstream module omits those that no trailer may have.
 */
export function requestTrailers(
  req: IncomingMessage,
  setHere: ReadonlySet<string>,
  isChanged: boolean,
): string[] {
  const { rawTrailers = [] } = req as { rawTrailers?: readonly string[] }
  const trailers: string[] = []
  for (let i = 0; i < rawTrailers.length; i += 2) {
    const name = rawTrailers[i] as string
    const lowerCased = name.toLowerCase()
    if (isChanged && isDigest(lowerCased)) continue
    if (lowerCased === loopHeader || setHere.has(lowerCased) || describesClient(name)) continue
    trailers.push(name, rawTrailers[i + 1] as string)
  }
  return trailers
}
