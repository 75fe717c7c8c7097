import type { IncomingMessage } from 'node:http'

import { forwardedNames } from './forwarded.js'
import { loopHeader } from './loop.js'
import { hopByHopNames } from '../hop-by-hop.js'

/** What an upstream could take for the word of this proxy, should it read trailers as headers (RFC 9110 §6.5.1). */
const notInTrailers: ReadonlySet<string> = new Set([...hopByHopNames, ...forwardedNames, loopHeader])

/** The trailers of a request that go on, once its body has ended: name, value, name, value, … */
export function requestTrailers({ rawTrailers }: IncomingMessage): string[] {
  const trailers: string[] = []
  for (let i = 0; i < rawTrailers.length; i += 2) {
    const name = rawTrailers[i] as string
    if (!notInTrailers.has(name.toLowerCase())) trailers.push(name, rawTrailers[i + 1] as string)
  }
  return trailers
}
