import express5 from 'express'
// @ts-expect-error express 4 is installed under an alias, without types
import express4Untyped from 'express4'

// Express writes unhandled errors to stderr, except under test.
process.env['NODE_ENV'] ??= 'test'

const express4 = express4Untyped as typeof express5

/** Both supported versions of Express, to run the same test against each. */
export const expressVersions = [
  { name: 'Express 5', module: 'express', express: express5 },
  { name: 'Express 4', module: 'express4', express: express4 },
] as const

export type Express = typeof express5

export type ExpressVersion = (typeof expressVersions)[number]

/** The Express of a host. Bare http gets the parsers of Express 5, which do not need Express. */
export function expressFor(host: string): Express {
  return host === 'Express 4' ? express4 : express5
}
